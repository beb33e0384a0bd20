//! What the console says when something cannot be.

use super::command::Mistake;
use crate::error::Refusal;

impl Refusal {
    pub(super) fn mistake(mistake: &Mistake) -> Self {
        match mistake {
            Mistake::Unknown(text) => Self::console_syntax(format!("invalid command {text:?}"))
                .with_hint("SHOW HELP lists the commands."),
            Mistake::Meaningless(reason) => Self::console_unsupported(*reason),
            Mistake::NeedsDatabase(command) => {
                Self::console_syntax(format!("{command} needs a database's name"))
            }
            Mistake::NoNumber => Self::console_syntax("KILL_CLIENT needs a client's id")
                .with_hint("SHOW CLIENTS has it in its last column."),
        }
    }

    pub(super) fn no_set(key: &str) -> Self {
        Self::console_unsupported(format!("{key} cannot be set here")).with_hint(
            "Change it in the configuration file, then RELOAD: so it still holds after a restart.",
        )
    }

    pub(super) fn no_suspend() -> Self {
        Self::console_unsupported("there is nothing to suspend for")
            .with_hint("To upgrade, start the new version with --takeover; to hold clients, PAUSE.")
    }

    pub(super) fn reload_failed(problems: &[String]) -> Self {
        let count = problems.len();
        let message = format!("the configuration is wrong ({count} mistakes); nothing has changed");
        Self::console_config(message, problems.join("\n"))
    }
}
