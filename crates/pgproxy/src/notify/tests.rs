//! Letterboxes, without any server.

use std::task::{Context, Poll, Waker};

use super::letterbox::{BYTES_MAX, Overflow};
use super::*;

fn is_stirred(letterbox: &Letterbox) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    letterbox.poll_stirred(&mut context) == Poll::Ready(())
}

#[test]
fn letters_come_in_order_and_stir() {
    let letterbox = Letterbox::default();
    assert!(!is_stirred(&letterbox));
    let (one, two): (Arc<[u8]>, Arc<[u8]>) = (b"one"[..].into(), b"two"[..].into());
    letterbox.put(Arc::clone(&one));
    letterbox.put(Arc::clone(&two));
    assert!(is_stirred(&letterbox));
    assert!(!is_stirred(&letterbox), "once");
    assert_eq!(letterbox.take(), Ok(Some(one)));
    assert_eq!(letterbox.take(), Ok(Some(two)));
    assert_eq!(letterbox.take(), Ok(None));
    letterbox.stir();
    assert!(is_stirred(&letterbox));
}

#[test]
fn what_is_too_much_is_not_dropped_in_silence() {
    let letterbox = Letterbox::default();
    let letter: Arc<[u8]> = vec![0; 8000].into();
    for _ in 0..BYTES_MAX / 8000 {
        letterbox.put(Arc::clone(&letter));
    }
    assert_eq!(letterbox.take(), Ok(Some(Arc::clone(&letter))));
    letterbox.put(Arc::clone(&letter));
    letterbox.put(Arc::clone(&letter));
    assert_eq!(letterbox.take(), Err(Overflow));
    letterbox.put(letter);
    assert_eq!(letterbox.take(), Err(Overflow), "for good");
}
