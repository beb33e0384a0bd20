//! A timer finer than the runtime's, whose wheel turns once a millisecond and would make every
//! request up to that much late.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
pub(super) struct Timer {
    descriptor: tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        // Deprecated for types that may change their descriptor underway. An `OwnedFd` cannot, and
        // the replacement is an unsafe function.
        #[expect(deprecated, reason = "sound for an OwnedFd")]
        let descriptor = tokio::io::unix::AsyncFd::new(descriptor)?;
        Ok(Self { descriptor })
    }

    pub(super) async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let remaining = at.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Ok(());
        }
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let it_value = Timespec {
            tv_sec: remaining.as_secs().cast_signed(),
            tv_nsec: remaining.subsec_nanos().into(),
        };
        let spec = Itimerspec {
            it_interval: zero,
            it_value,
        };
        timerfd_settime(self.descriptor.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        loop {
            let mut ready = self.descriptor.readable().await?;
            // An expiry that an earlier call left unread reads as nothing or wakes early; the
            // caller looks at the clock.
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut [0_u8; 8])?));
            if let Ok(outcome) = read {
                return outcome.map(drop);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
        tokio::time::sleep_until(at.into()).await;
        Ok(())
    }
}
