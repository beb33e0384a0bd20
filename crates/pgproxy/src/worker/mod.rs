//! One worker: it accepts clients, hands them to the worker with the fewest, runs the sessions that are its own, and
//! ends when it drains.

mod balance;
mod mailbox;

use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use paceline_listen::{Acceptor, DrainSignal};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval};

pub(crate) use balance::{Seat, Workers};
pub(crate) use mailbox::{Mailbox, Parcel};

use crate::buffer::Spares;
use crate::client::startup;
use crate::proxy::Proxy;
use crate::session::{Entry, Note, Session};

/// How often idle connections are looked through and workers compared.
const ROUND: Duration = Duration::from_secs(1);

/// How often a worker that is about to end looks whether it can.
const LOOK: Duration = Duration::from_millis(20);

/// Leads to a session, unless the client is somebody else or goes.
type Login = Pin<Box<dyn Future<Output = Option<Box<Session>>>>>;

/// What the sessions of one worker share.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) spares: Spares,
    /// For what a session undoes; kept for its memory.
    pub(crate) undone: RefCell<Vec<Entry<Note>>>,
    is_draining: Cell<bool>,
    /// The reload of which those who wait were told last.
    told: Cell<u64>,
    tasks: RefCell<Tasks>,
}

impl Worker {
    /// Runs the worker until it has drained.
    pub(crate) async fn run(
        proxy: Arc<Proxy>,
        index: usize,
        mut acceptor: Acceptor,
        drain: DrainSignal,
    ) {
        let worker = Rc::new(Self {
            index,
            proxy,
            spares: Spares::default(),
            undone: RefCell::default(),
            is_draining: Cell::new(false),
            told: Cell::new(0),
            tasks: RefCell::default(),
        });
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = drain.accepting_ends() => break,
                parcel = worker.proxy.mailboxes[index].receive() => worker.unpack(parcel),
                (stream, peer) = acceptor.accept() => worker.place(stream, peer),
                _ = rounds.tick() => worker.round(&mut seen),
            }
        }
        if drain.is_draining() {
            // Clients in the kernel's queue are told, not reset.
            while let Some((stream, peer)) = accept_now(&mut acceptor).await {
                worker.place(stream, peer);
            }
        }
        drop(acceptor);
        if worker.serve_the_rest(&drain, &mut rounds, &mut seen).await {
            worker.drain().await;
        }
    }

    /// Somebody else accepts clients now; those that are here stay until they leave. Says whether they are to be sent away before.
    async fn serve_the_rest(
        self: &Rc<Self>,
        drain: &DrainSignal,
        rounds: &mut Interval,
        seen: &mut Vec<u64>,
    ) -> bool {
        loop {
            // All workers end together: until then, clients may move from one to another.
            if self.proxy.workers.clients_total() == 0 {
                return false;
            }
            tokio::select! {
                biased;
                () = drain.wait() => return true,
                parcel = self.proxy.mailboxes[self.index].receive() => self.unpack(parcel),
                _ = rounds.tick() => self.round(seen),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Whether idle clients are to be sent away.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Bytes that a client of this worker has sent.
    pub(crate) fn count_from_clients(&self, bytes: usize) {
        self.proxy.workers.count_from_clients(self.index, bytes);
    }

    /// Bytes that a server connection of this worker has sent.
    pub(crate) fn count_from_servers(&self, bytes: usize) {
        self.proxy.workers.count_from_servers(self.index, bytes);
    }

    fn round(&self, seen: &mut Vec<u64>) {
        let reloads = self.proxy.databases.reloads();
        if self.told.replace(reloads) != reloads {
            // Whoever does nothing would not notice that it may do so no longer.
            self.tasks.borrow().wake_all();
        }
        if self.index == 0 {
            let now = Instant::now();
            self.proxy.databases.round(self.index, now);
            self.proxy.authenticator.round(now);
            self.proxy.workers.balance(seen);
            self.proxy.means.roster.tick();
        }
    }

    /// Sends idle clients away and waits for the others to come to their end.
    async fn drain(self: &Rc<Self>) {
        self.is_draining.set(true);
        loop {
            self.tasks.borrow().wake_all();
            if self.proxy.workers.clients(self.index) == 0 {
                return;
            }
            tokio::select! {
                parcel = self.proxy.mailboxes[self.index].receive() => self.unpack(parcel),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Decides which worker a client goes to, before its first byte is read.
    fn place(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Those that are told "too many clients" have to be heard first; beyond that they are not even heard.
        if self.proxy.workers.clients_total() >= 2 * self.proxy.config().clients_max {
            return;
        }
        let seat = self.proxy.workers.seat(self.index);
        if seat.worker() == self.index {
            return self.welcome(stream, peer, seat);
        }
        if let Ok(stream) = stream.into_std() {
            let worker = seat.worker();
            self.proxy.mailboxes[worker].send(Parcel::Accepted { stream, peer, seat });
        }
    }

    fn unpack(self: &Rc<Self>, parcel: Parcel) {
        match parcel {
            Parcel::Accepted { stream, peer, seat } => {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    self.welcome(stream, peer, seat);
                }
            }
            Parcel::Client(client) => {
                if let Ok(client) = client.arrive() {
                    let session = Session::new(Rc::clone(self), client);
                    self.spawn(Box::pin(ready(Some(session))));
                }
            }
        }
    }

    fn welcome(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        self.spawn(Box::pin(startup::welcome(
            Rc::clone(self),
            stream,
            peer,
            seat,
        )));
    }

    /// Runs a client, and remembers how to wake it. What it takes to log in is given back before the session runs: most of a
    /// session's life is waiting, and ten thousand wait in a few bytes each.
    fn spawn(self: &Rc<Self>, login: Login) {
        let index = self.tasks.borrow_mut().add();
        let listed = Forget {
            worker: Rc::clone(self),
            index,
        };
        tokio::task::spawn_local(life(listed, login));
    }
}

/// What a client's task does. What it captures is in its memory for good; what would be moved out of that, a second time.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would have memory for its arguments twice"
)]
fn life(listed: Forget, login: Login) -> impl Future<Output = ()> {
    async move {
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        listed.wake_by(waker);
        if let Some(session) = login.await {
            session.run().await;
        }
    }
}

/// A connection that is there already.
async fn accept_now(acceptor: &mut Acceptor) -> Option<(TcpStream, SocketAddr)> {
    let mut accepting = pin!(acceptor.accept());
    poll_fn(|context| {
        Poll::Ready(match accepting.as_mut().poll(context) {
            Poll::Ready(accepted) => Some(accepted),
            Poll::Pending => None,
        })
    })
    .await
}

/// How to wake each task of a worker.
#[derive(Default)]
struct Tasks {
    wakers: Vec<Option<Waker>>,
    free: Vec<u32>,
}

impl Tasks {
    fn add(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            (self.wakers.len() - 1) as u32
        })
    }

    fn remove(&mut self, index: u32) {
        self.wakers[index as usize] = None;
        self.free.push(index);
    }

    fn wake_all(&self) {
        self.wakers.iter().flatten().for_each(Waker::wake_by_ref);
    }
}

/// Forgets a task when it ends, however it ends.
struct Forget {
    worker: Rc<Worker>,
    index: u32,
}

impl Forget {
    fn wake_by(&self, waker: Waker) {
        let mut tasks = self.worker.tasks.borrow_mut();
        tasks.wakers[self.index as usize] = Some(waker);
    }
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.worker.tasks.borrow_mut().remove(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<F: Future>(_: impl FnOnce(Forget, Login) -> F) -> usize {
        size_of::<F>()
    }

    /// With what tokio keeps for each task it has room in 256 bytes.
    #[test]
    fn the_task_of_a_client_is_small() {
        let bytes = future_bytes(life);
        assert!(bytes <= 152, "it has {bytes} bytes");
    }
}
