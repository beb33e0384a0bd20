//! A server that cannot be reached costs one attempt now and then, not one for each client. No clock of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Unavailable;

/// The first pause; each one after it is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a refusal is passed on that no patience helps against (a wrong password), before the server is asked again.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Default)]
pub(crate) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    /// Attempts that failed in a row. 0: all is well.
    failures: u32,
    /// No attempt before then.
    next: Option<Instant>,
    /// Somebody tries, who must be done by then.
    tries_until: Option<Instant>,
    reason: Option<Arc<Unavailable>>,
}

/// What somebody may do who wants to connect.
#[derive(Debug)]
pub(crate) enum Turn {
    Try,
    /// Ask again after this time.
    Wait(Duration),
    /// The server would refuse.
    Refused(Arc<Unavailable>),
}

impl Circuit {
    /// Asks for leave to connect, which takes no longer than `limit`. Who gets it says what came of it.
    pub(crate) fn turn(&self, now: Instant, limit: Duration) -> Turn {
        let mut state = self.lock();
        if state.failures == 0 {
            return Turn::Try;
        }
        let left = |until: Option<Instant>| {
            until
                .map(|until| until.saturating_duration_since(now))
                .filter(|left| !left.is_zero())
        };
        match (&state.reason, left(state.next)) {
            (Some(reason), Some(_)) if reason.is_final() => {
                return Turn::Refused(Arc::clone(reason));
            }
            (_, Some(pause)) => return Turn::Wait(pause),
            (_, None) => {}
        }
        if let Some(busy) = left(state.tries_until) {
            return Turn::Wait(busy.min(PAUSE));
        }
        state.tries_until = Some(now + limit);
        Turn::Try
    }

    /// A connection is there. Says whether that is news.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.lock();
        let was_failing = state.failures > 0;
        if was_failing {
            *state = State::default();
        }
        was_failing
    }

    /// There was no connection. Says how many attempts have failed in a row; several at once count as one.
    pub(crate) fn failed(&self, reason: Arc<Unavailable>, now: Instant) -> u32 {
        let mut state = self.lock();
        state.tries_until = None;
        if state.next.is_none_or(|next| next <= now) {
            state.failures += 1;
            let pause = if reason.is_final() {
                REFUSED_FOR
            } else {
                let doubled = PAUSE * (1 << (state.failures - 1).min(8));
                // Several Pacelines that lost the same server must not come back as one.
                doubled.min(PAUSE_MAX).mul_f32(0.5 + fastrand::f32() * 0.5)
            };
            state.next = Some(now + pause);
        }
        state.reason = Some(reason);
        state.failures
    }

    /// Why there are no connections at present.
    pub(crate) fn reason(&self) -> Option<Arc<Unavailable>> {
        self.lock().reason.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn unreachable() -> Arc<Unavailable> {
        Arc::new(Unavailable::Connect {
            place: "h:1".into(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        })
    }

    fn refused(sqlstate: &str) -> Arc<Unavailable> {
        Arc::new(Unavailable::Refused {
            sqlstate: sqlstate.into(),
            message: "no".into(),
            detail: None,
        })
    }

    #[test]
    fn pauses_grow_and_only_one_tries() {
        let (circuit, mut now) = (Circuit::default(), Instant::now());
        assert!(matches!(circuit.turn(now, LIMIT), Turn::Try));
        assert!(matches!(circuit.turn(now, LIMIT), Turn::Try), "all is well");
        let mut pauses = Vec::new();
        for attempt in 1..=8 {
            assert_eq!(circuit.failed(unreachable(), now), attempt);
            assert_eq!(
                circuit.failed(unreachable(), now),
                attempt,
                "at the same time"
            );
            let Turn::Wait(pause) = circuit.turn(now, LIMIT) else {
                panic!("nobody may try at once");
            };
            pauses.push(pause);
            now += pause;
            assert!(matches!(circuit.turn(now, LIMIT), Turn::Try));
            assert!(
                matches!(circuit.turn(now, LIMIT), Turn::Wait(_)),
                "one tries already"
            );
        }
        for (index, pause) in pauses.iter().enumerate() {
            let longest = PAUSE_MAX.min(PAUSE * (1 << index));
            assert!(
                (longest / 2..=longest).contains(pause),
                "{index}: {pause:?}"
            );
        }
        // Whoever tried has vanished: somebody else may, after a while.
        now += LIMIT;
        assert!(matches!(circuit.turn(now, LIMIT), Turn::Try));
        assert!(circuit.succeeded());
        assert!(!circuit.succeeded());
        assert!(matches!(circuit.turn(now, LIMIT), Turn::Try));
    }

    #[test]
    fn what_is_final_is_told_at_once_and_asked_again_later() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        circuit.failed(refused("28P01"), now);
        assert!(matches!(circuit.turn(now, LIMIT), Turn::Refused(_)));
        assert!(matches!(circuit.turn(now + REFUSED_FOR, LIMIT), Turn::Try));
    }

    #[test]
    fn only_what_patience_does_not_help_against_is_final() {
        let check = |sqlstate, expected| {
            assert_eq!(refused(sqlstate).is_final(), expected, "{sqlstate}");
        };
        check("28P01", true);
        check("28000", true);
        check("3D000", true);
        check("42501", true);
        check("53300", false);
        check("57P03", false);
        check("57P01", false);
        assert!(!unreachable().is_final());
    }
}
