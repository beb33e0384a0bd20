use std::sync::Arc;
use tokio::sync::watch;

/// Ends a running load early, from any thread. Clones share the same switch.
///
/// The load stops sending at once, gives up what is in flight, and reports what it measured until
/// then.
#[derive(Debug, Clone)]
pub struct Cancel {
    cancelled: Arc<watch::Sender<bool>>,
}

impl Cancel {
    /// A switch that nobody has pressed.
    pub fn new() -> Self {
        Self {
            cancelled: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Ends every load that was given this switch.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    pub(crate) async fn cancelled(&self) {
        let mut receiver = self.cancelled.subscribe();
        // It fails only when the sender is gone, and `self` holds it.
        let _ = receiver.wait_for(|cancelled| *cancelled).await;
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}
