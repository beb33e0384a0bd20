//! The predecessor's side: it waits on its control socket for somebody who takes over.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_listen::Lines;
use paceline_pgproxy::Proxy;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};

use super::super::workers::runtime;
use super::{Listening, Message, is_trusted, next, send};

/// How long a successor may take for each of its lines before it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// What is offered to a successor.
#[derive(Debug, Clone)]
pub(in crate::server) struct Offer {
    /// Nothing once they are given away, or closed.
    sockets: Arc<Mutex<Vec<Listening>>>,
    proxy: Option<Arc<Proxy>>,
    /// Told when a successor is ready.
    succeeded: UnboundedSender<()>,
}

impl Offer {
    pub(in crate::server) fn new(
        sockets: Vec<Listening>,
        proxy: Option<Arc<Proxy>>,
        succeeded: UnboundedSender<()>,
    ) -> Self {
        Self {
            sockets: Arc::new(Mutex::new(sockets)),
            proxy,
            succeeded,
        }
    }

    /// From now on the sockets are nobody's to take: as long as a copy is open here, clients could still connect.
    pub(in crate::server) fn withdraw(&self) {
        let sockets = std::mem::take(&mut *self.lock());
        drop(sockets);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Listening>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The control socket of this process. Its file goes when this is dropped, unless a successor has put its own there.
#[derive(Debug)]
pub(in crate::server) struct ControlSocket {
    path: PathBuf,
    inode: u64,
}

impl ControlSocket {
    /// Whether a process listens there. What lies there and is no socket is an error.
    pub(in crate::server) fn is_alive(path: &Path) -> anyhow::Result<bool> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => bail!("control_socket {} cannot be used: {error}.", path.display()),
            Ok(found) if !found.file_type().is_socket() => {
                bail!(
                    "control_socket {} is a file, not a socket: choose another path.",
                    path.display()
                )
            }
            Ok(_) => {}
        }
        Ok(UnixStream::connect(path).is_ok())
    }

    /// Listens there, in place of whatever did before, and serves successors on a thread of its own.
    ///
    /// # Errors
    /// When the path cannot be used.
    pub(in crate::server) fn open(path: &Path, offer: Offer) -> anyhow::Result<Self> {
        let shown = path.display();
        // Made aside and moved, so that at each moment somebody listens there, and nobody else may connect.
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        let listener = UnixListener::bind(&aside)
            .and_then(|listener| {
                fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
                fs::rename(&aside, path)?;
                Ok(listener)
            })
            .with_context(|| format!("control_socket {shown} cannot be opened"))?;
        let inode = fs::symlink_metadata(path)?.ino();
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                for stream in listener.incoming() {
                    match stream {
                        // One after the other: there is one successor.
                        Ok(stream) => serve(stream, &offer),
                        Err(error) => {
                            warn!(%error, "Could not accept on the control socket.");
                            thread::sleep(Duration::from_millis(100));
                        }
                    }
                }
            })?;
        Ok(Self {
            path: path.to_owned(),
            inode,
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn serve(stream: UnixStream, offer: &Offer) {
    let mut lines = Lines::new(stream);
    match give(&mut lines, offer) {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            warn!(%error, "A process that wanted to take over did not; this one goes on.");
            return;
        }
    }
    // From here on it only has cancel requests for clients that are still here.
    let proxy = offer.proxy.clone();
    let relay = move || {
        if let Err(error) = relay_cancels(&mut lines, proxy.as_deref()) {
            warn!(%error, "Cancel requests cannot be had from the successor any more.");
        }
    };
    if let Err(error) = thread::Builder::new()
        .name("cancels".to_owned())
        .spawn(relay)
    {
        warn!(%error, "Cancel requests cannot be had from the successor.");
    }
}

/// Gives the sockets away. Says whether there is a successor now.
fn give(lines: &mut Lines, offer: &Offer) -> io::Result<bool> {
    lines.stream().set_read_timeout(Some(READY_TIMEOUT))?;
    lines.stream().set_write_timeout(Some(READY_TIMEOUT))?;
    if !is_trusted(lines)? {
        warn!("A process of another user wanted to take over.");
        return Ok(false);
    }
    let version = match next(lines)? {
        Some(Message::TakeOver { version }) => version,
        // Somebody looked whether we are here.
        None => return Ok(false),
        Some(_) => return Err(io::ErrorKind::InvalidData.into()),
    };
    info!(version, "Another process takes over.");
    let sockets = offer.lock();
    if sockets.is_empty() {
        let reason = "it is leaving already".to_owned();
        send(lines, &Message::Refused { reason })?;
        return Ok(false);
    }
    for Listening { kind, listener } in sockets.iter() {
        let line = serde_json::to_string(&Message::Socket { kind: *kind })?;
        lines.send(&line, Some(listener.as_fd()))?;
    }
    drop(sockets);
    let process = std::process::id();
    send(lines, &Message::End { process })?;
    match next(lines)? {
        Some(Message::Ready) => {}
        Some(_) => return Err(io::ErrorKind::InvalidData.into()),
        None => {
            warn!("The process that was to take over did not get ready; this one goes on.");
            return Ok(false);
        }
    }
    // Said first: with no clients left this process ends at once.
    send(lines, &Message::Leaving)?;
    offer.withdraw();
    let _ = offer.succeeded.send(());
    Ok(true)
}

fn relay_cancels(lines: &mut Lines, proxy: Option<&Proxy>) -> io::Result<()> {
    lines.stream().set_read_timeout(None)?;
    let runtime = runtime(1)?;
    while let Some(message) = next(lines)? {
        let Message::Cancel { process_id, secret } = message else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if let Some(proxy) = proxy {
            runtime.block_on(proxy.cancel(process_id, &secret));
        }
        send(lines, &Message::Cancelled)?;
    }
    Ok(())
}
