//! The proxy answers as the server does: random legal sequences of messages, made from one seed, are played to both by three clients
//! in turns, and what the clients hear is compared byte by byte. Process ids, OIDs of tables and the lines of the server's source
//! aside, and settings are compared as what a client knows when the server is ready, since they may be told at any time before.
//!
//! A seed that fails replays alone: `PACELINE_DIFFERENTIAL_SEED=17`. `PACELINE_DIFFERENTIAL_SECONDS=60` plays so long (`make fuzz`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "differential/message.rs"]
mod message;
#[path = "differential/play.rs"]
mod play;
#[path = "differential/script.rs"]
mod script;
mod support;
#[path = "differential/texts.rs"]
mod texts;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use message::Message;
use paceline_testkit::{PrivatePostgres, postgres};
use play::{Choice, Transcript, play};
use script::{Script, Work};

/// Seeds that `make test` plays.
const SEEDS: u64 = 150;
/// How often a script that fails is played again to make it smaller.
const SHRINKING_PLAYS_MAX: usize = 150;
/// After so many failures the rest is not played.
const FAILURES_MAX: usize = 5;

/// A server behind the proxy, and one that is spoken to directly.
struct Pair {
    behind: PrivatePostgres,
    direct: PrivatePostgres,
}

impl Pair {
    fn start() -> Self {
        let (behind, direct) = (postgres(), postgres());
        for server in [&behind, &direct] {
            support::direct(server).rows(texts::SETUP);
        }
        Self { behind, direct }
    }

    /// What differs, with what led to it.
    fn difference(&self, script: &Script) -> Option<String> {
        for server in [&self.behind, &self.direct] {
            support::direct(server).rows(texts::CLEANUP);
        }
        let wanted = play(
            script,
            self.direct.port(),
            &Choice::ByHolders(script.pool_size),
        );
        let mut config = support::config(&self.behind.url("postgres"));
        config.pool_size = script.pool_size;
        // Nobody has to wait, but for a connection to be opened: whoever waits longer waits in vain.
        config.wait_timeout = Duration::from_secs(10);
        let serving = support::serve(config);
        let found = play(script, serving.port, &Choice::As(&wanted));
        first_difference(script, &wanted, &found)
    }
}

fn first_difference(script: &Script, wanted: &Transcript, found: &Transcript) -> Option<String> {
    let pairs = wanted.steps.iter().zip(&found.steps);
    let (last, (wanted_step, found_step)) = pairs
        .enumerate()
        .find(|(_, (wanted, found))| wanted != found)?;
    let mut told = format!("pool_size {}, {:?}\n", script.pool_size, script.startups);
    for (number, step) in script.steps.iter().enumerate().take(last + 1) {
        if wanted.steps[number].is_some() {
            let _ = writeln!(told, "{number}: client {}: {:?}", step.client, step.work);
        }
    }
    for (name, heard) in [("the server", wanted_step), ("the proxy", found_step)] {
        let _ = write!(
            told,
            "--- {name}:\n{}",
            heard.as_deref().unwrap_or_default()
        );
    }
    Some(told)
}

/// Leaves out halves, quarters and so on of the steps, then of their messages, as long as something still differs.
fn shrink(pair: &Pair, mut script: Script, mut told: String) -> String {
    let mut plays = 0;
    let mut chunk = script.steps.len().div_ceil(2);
    while chunk > 0 && plays < SHRINKING_PLAYS_MAX {
        let mut at = 0;
        while at < script.steps.len() && plays < SHRINKING_PLAYS_MAX {
            let mut smaller = script.clone();
            let end = (at + chunk).min(smaller.steps.len());
            smaller.steps.drain(at..end);
            plays += 1;
            match pair.difference(&smaller) {
                Some(difference) => (script, told) = (smaller, difference),
                None => at += chunk,
            }
        }
        chunk /= 2;
    }
    for step in 0..script.steps.len() {
        let mut at = 0;
        while let Work::Send(messages) = &script.steps[step].work
            // The last one makes the answers come.
            && at + 1 < messages.len()
            && plays < SHRINKING_PLAYS_MAX
        {
            let mut smaller = script.clone();
            if let Work::Send(messages) = &mut smaller.steps[step].work {
                // Without its end a COPY has no answer.
                if matches!(messages.remove(at), Message::CopyDone | Message::CopyFail) {
                    at += 1;
                    continue;
                }
            }
            plays += 1;
            match pair.difference(&smaller) {
                Some(difference) => (script, told) = (smaller, difference),
                None => at += 1,
            }
        }
    }
    told
}

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_proxy_answers_as_the_server_does() {
    let pair = Pair::start();
    let deadline = number_of("PACELINE_DIFFERENTIAL_SECONDS")
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let seeds = match (number_of("PACELINE_DIFFERENTIAL_SEED"), deadline) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(_)) => {
            let first = fastrand::u64(0..1 << 32);
            first..u64::MAX
        }
        (None, None) => 0..SEEDS,
    };
    let mut failures = Vec::new();
    for seed in seeds {
        if failures.len() == FAILURES_MAX
            || deadline.is_some_and(|deadline| Instant::now() > deadline)
        {
            break;
        }
        let script = Script::of(seed);
        if let Some(difference) = pair.difference(&script) {
            let least = shrink(&pair, script, difference);
            failures.push(format!(
                "seed {seed} (PACELINE_DIFFERENTIAL_SEED={seed} plays it alone):\n{least}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
