//! The successor's side.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_listen::Lines;
use paceline_pgproxy::Stray;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Kind, Listening, Message, is_trusted, next, send};

/// How long the predecessor may take for each of its lines.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What was taken: the sockets are open here and there.
#[derive(Debug)]
pub(in crate::server) struct Taken {
    lines: Lines,
    sockets: Vec<Listening>,
    process: u32,
}

/// Takes the sockets of the process that listens at this path. None: there is no such process.
///
/// # Errors
/// When it is another user's process, or does not answer as it should.
pub(in crate::server) fn take(path: &Path) -> anyhow::Result<Option<Taken>> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error).with_context(|| {
                    format!(
                        "The process at control_socket {} cannot be asked",
                        path.display()
                    )
                }),
            };
        }
    };
    let taken = Taken::ask(stream);
    taken
        .map(Some)
        .with_context(|| format!("Could not take over at control_socket {}", path.display()))
}

impl Taken {
    fn ask(stream: UnixStream) -> anyhow::Result<Self> {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut lines = Lines::new(stream);
        if !is_trusted(&lines)? {
            bail!("the process there is another user's");
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        send(&mut lines, &Message::TakeOver { version })?;
        let mut sockets = Vec::new();
        let process = loop {
            match next(&mut lines)? {
                Some(Message::Socket { kind }) => {
                    let descriptor = lines.descriptor().context("a socket is missing")?;
                    let listener = TcpListener::from(descriptor);
                    sockets.push(Listening { kind, listener });
                }
                Some(Message::End { process }) => break process,
                Some(Message::Refused { reason }) => bail!("the process there refused: {reason}"),
                Some(_) => bail!("the process there says what it should not"),
                None => bail!("the process there has closed the connection"),
            }
        };
        Ok(Self {
            lines,
            sockets,
            process,
        })
    }

    /// The sockets for this purpose.
    pub(in crate::server) fn sockets(&mut self, kind: Kind) -> Vec<TcpListener> {
        let (wanted, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sockets)
            .into_iter()
            .partition(|socket| socket.kind == kind);
        self.sockets = others;
        wanted.into_iter().map(|socket| socket.listener).collect()
    }

    /// Tells the predecessor that this process serves, so that it can leave, and passes it the cancel requests of its
    /// clients as long as it is there. One that does not answer is no reason to leave those who are served here.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(in crate::server) fn ready(
        mut self,
        strays: Option<mpsc::Receiver<Stray>>,
    ) -> anyhow::Result<()> {
        let predecessor = self.process;
        let answer = send(&mut self.lines, &Message::Ready).and_then(|()| next(&mut self.lines));
        match answer {
            Ok(Some(Message::Leaving)) => info!(predecessor, "Took over."),
            answer => {
                warn!(
                    predecessor,
                    ?answer,
                    "The process that was to leave did not answer, and may go on."
                );
                return Ok(());
            }
        }
        if let Some(strays) = strays {
            let Self { mut lines, .. } = self;
            let relay = move || {
                // The predecessor has gone, and with it those whom the requests were for.
                if let Err(error) = relay_cancels(&mut lines, strays) {
                    info!(%error, "The process before this one has left.");
                }
            };
            thread::Builder::new()
                .name("cancels".to_owned())
                .spawn(relay)?;
        }
        Ok(())
    }
}

fn relay_cancels(lines: &mut Lines, mut strays: mpsc::Receiver<Stray>) -> io::Result<()> {
    while let Some(stray) = strays.blocking_recv() {
        let message = Message::Cancel {
            process_id: stray.process_id,
            secret: stray.secret.clone(),
        };
        send(lines, &message)?;
        match next(lines)? {
            Some(Message::Cancelled) => stray.done(),
            Some(_) => warn!("The process before this one says what it should not."),
            None => return Ok(()),
        }
    }
    Ok(())
}
