use crate::{Error, Live, Scenario, Target};
use std::time::Duration;

/// A load to run: what is asked for, of whom, how often and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server under load.
    pub target: Target,
    /// The requests.
    pub scenario: Scenario,
    /// Open or closed loop.
    pub load: Load,
    /// Load that is sent first and not measured.
    pub warmup: Duration,
    /// How long the measured load lasts, after the warm-up. Stages have durations of their own,
    /// which count instead; see [`Plan::measured`].
    pub duration: Duration,
    /// The most connections that an open loop opens. An arrival that finds all of them busy waits
    /// for one, and its wait is part of its latency. As many again may wait; further arrivals are
    /// dropped and counted.
    pub max_in_flight: usize,
    /// How long a request may take from its intended start to the last byte of its answer. One that
    /// waited this long for a connection is dropped.
    pub timeout: Duration,
    /// Decides routes, generated values and arrival times: equal seeds make equal loads.
    pub seed: u64,
    /// Threads that generate the load, each with its share of the rate and of the connections.
    pub threads: usize,
    /// A process of this machine whose CPU time and memory are watched while it is measured: the
    /// server's, mostly.
    pub watch_pid: Option<u32>,
    /// Where to tell how it goes while it goes.
    pub live: Option<Live>,
}

impl Plan {
    /// Ten seconds of open loop at 50 requests per second, after two of warm-up.
    pub fn new(target: Target, scenario: Scenario) -> Self {
        Self {
            target,
            scenario,
            load: Load::Open {
                rate: 50.0,
                arrivals: Arrivals::Poisson,
            },
            warmup: Duration::from_secs(2),
            duration: Duration::from_secs(10),
            max_in_flight: 512,
            timeout: Duration::from_secs(30),
            seed: 1,
            threads: 1,
            watch_pid: None,
            live: None,
        }
    }

    /// Tells what is being done, to whoever looks.
    pub(crate) fn tell(&self, phase: impl FnOnce() -> String) {
        if let Some(live) = &self.live {
            live.set_phase(phase());
        }
    }

    /// How long the measured load lasts: all stages together, or `duration`.
    pub fn measured(&self) -> Duration {
        match &self.load {
            Load::Stages { stages, .. } => stages.iter().fold(Duration::ZERO, |sum, stage| {
                sum.saturating_add(stage.duration)
            }),
            _ => self.duration,
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |reason: &str| Err(Error::Plan(reason.to_owned()));
        if let Err(reason) = self.load.check() {
            return refuse(reason);
        }
        match self.load {
            Load::Closed { connections } if connections < self.threads => {
                return refuse("every thread needs a connection at least");
            }
            Load::Open { .. } | Load::Stages { .. } if self.max_in_flight < self.threads => {
                return refuse("every thread needs a request in flight at least");
            }
            _ => {}
        }
        if self.threads == 0 || self.threads > 256 {
            return refuse("the number of threads must be between 1 and 256");
        }
        if self.measured().is_zero() || self.timeout.is_zero() {
            return refuse("duration and timeout must be above zero");
        }
        let whole = self.warmup.saturating_add(self.measured());
        if self.timeout > TIMEOUT_MAX || whole > DURATION_MAX {
            return refuse("at most an hour of timeout and a week of load");
        }
        Ok(())
    }
}

/// The histograms reach this far.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// What makes the next request start.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// The schedule does, whatever became of earlier requests.
    Open {
        /// Requests per second, on average.
        rate: f64,
        /// How they are spread over time.
        arrivals: Arrivals,
    },
    /// A schedule whose rate changes.
    Stages {
        /// Requests per second during the warm-up and where the first stage begins.
        from: f64,
        /// One after the other.
        stages: Vec<Stage>,
        /// How they are spread over time.
        arrivals: Arrivals,
    },
    /// The answer to the one before on the same connection.
    Closed {
        /// How many connections ask at the same time.
        connections: usize,
    },
}

/// A part of a load whose rate goes in a straight line from that of the stage before to its own.
/// One that lasts no time jumps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Duration,
    /// Requests per second at its end.
    pub rate: f64,
}

const RATE_MAX: f64 = 10_000_000.0;
const STAGES_MAX: usize = 1000;

impl Load {
    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Open { rate, .. } if !(*rate > 0.0 && *rate <= RATE_MAX) => {
                Err("the rate must be above 0 and at most 10 million requests per second")
            }
            Self::Stages { stages, .. } if stages.is_empty() || stages.len() > STAGES_MAX => {
                Err("there must be between 1 and 1000 stages")
            }
            Self::Stages { from, stages, .. } => {
                let mut rates = stages.iter().map(|stage| stage.rate).chain([*from]);
                if !rates.all(|rate| (0.0..=RATE_MAX).contains(&rate)) {
                    return Err(
                        "a stage's rate must be between 0 and 10 million requests per second",
                    );
                }
                let mut before = *from;
                let sends = stages.iter().any(|stage| {
                    let any = !stage.duration.is_zero() && before + stage.rate > 0.0;
                    before = stage.rate;
                    any
                });
                sends.then_some(()).ok_or("no stage sends any request")
            }
            _ => Ok(()),
        }
    }
}

/// How the arrivals of an open loop are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrivals {
    /// Independently of each other, as those of many users are: exponential gaps.
    #[default]
    Poisson,
    /// At equal distances.
    Constant,
}
