//! Mail to employers.

use std::time::Duration;

/// "Sends" a mail: the mail server takes 30 to 79 ms, depending on the message.
pub(crate) async fn send(_to_company: i32, application: i32) {
    let wait_ms = 30 + u64::from(application.unsigned_abs()) % 50;
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}
