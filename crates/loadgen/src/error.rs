use crate::scenario::Problem;

/// Why a load could not be prepared or started. What goes wrong with a single request is no error
/// but a number in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The scenario has these problems, all of them, in the order of their position.
    #[error("{}", join(.0))]
    Scenario(Vec<Problem>),
    /// The target's URL is not one that can be loaded.
    #[error("the target \"{url}\" is no usable URL: {reason}")]
    Target {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A threshold cannot be understood, or names a route that the scenario does not have.
    #[error("the threshold \"{text}\" makes no sense: {reason}")]
    Threshold {
        /// The threshold as given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan contradicts itself.
    #[error("the load cannot be run: {0}")]
    Plan(String),
    /// A single request got no whole answer.
    #[error("{request}: {reason}")]
    Fetch {
        /// Method and path.
        request: String,
        /// What happened instead.
        reason: String,
    },
    /// The system refused a thread, a timer or an event queue.
    #[error("the load generator could not start: {0}")]
    System(#[from] std::io::Error),
}

fn join(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
