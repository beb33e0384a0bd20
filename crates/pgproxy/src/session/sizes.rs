//! What an idle client costs: ten thousand of them wait most of the time.

use std::mem::size_of;

use super::Session;

fn future_bytes<F: Future>(_: impl FnOnce(Box<Session>) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn an_idle_session_is_small() {
    let (session, run) = (size_of::<Session>(), future_bytes(Session::run));
    assert!(session <= 320, "a session has {session} bytes");
    assert!(run <= 104, "its future has {run} bytes");
}
