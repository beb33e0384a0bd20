//! Waiting for something to come true, instead of sleeping and hoping.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until the condition holds, and panics when it does not in time.
#[track_caller]
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(timeout, || condition().then_some(()));
}

/// Waits until there is a value, and panics when there is none in time.
#[track_caller]
pub fn wait_for<T>(timeout: Duration, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = find() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "this did not come true within {timeout:?}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}
