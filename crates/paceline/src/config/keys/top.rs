//! What concerns the whole process.

use super::{DAY, HOUR, Key, key};
use crate::config::draft::Mode;
use crate::config::field::{Field, Text};

pub(super) const KEYS: &[Key] = &[
    key(
        "mode",
        Field::Choice(
            &["observe", "fix"],
            Text {
                set: |draft, word| {
                    draft.mode = if word == "observe" {
                        Mode::Observe
                    } else {
                        Mode::Fix
                    };
                    Ok(())
                },
                show: |draft| Some(draft.mode.word().to_owned()),
            },
        ),
        "`observe` changes nothing but a trace header on requests, and gives each database client a server connection of its own. `fix` switches pooling on.",
    ),
    Key {
        path: "workers",
        field: Field::Count(|draft| &mut draft.workers, 1..=256),
        default_text: Some("the number of cores"),
        about: "Worker threads. Each has its own listening sockets and serves its connections alone.",
    },
    key(
        "drain_delay",
        Field::Duration(|draft| &mut draft.drain_delay, 0..=HOUR),
        "How long Paceline still accepts connections after SIGTERM or SIGINT, while `/readyz` already fails, so that balancers can look elsewhere.",
    ),
    key(
        "drain_timeout",
        Field::Duration(|draft| &mut draft.drain_timeout, 0..=DAY),
        "How long open requests and transactions may take to end after SIGTERM or SIGINT. A second signal ends at once.",
    ),
    key(
        "control_socket",
        Field::Path(|draft| &mut draft.control_socket),
        "A Unix socket over which `paceline run --takeover` takes the listening sockets over from the process that runs. Only the same user can use it.",
    ),
    key(
        "handover_timeout",
        Field::Duration(|draft| &mut draft.handover_timeout, 0..=30 * DAY),
        "How long a process that was taken over from goes on for its database clients; those that are left are then sent away as after SIGTERM.",
    ),
];
