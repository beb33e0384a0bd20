//! Load on an HTTP API, measured as its users would feel it.
//!
//! In an **open loop** requests start by a schedule, whether or not earlier ones have been
//! answered, as the requests of independent users do. Latency counts from the moment at which a
//! request *should* have started. A server that stalls for a second is then seen to have kept a
//! second's worth of users waiting. In a **closed loop** a fixed number of connections each wait
//! for their answer before they ask again; a stall then costs one sample per connection, which
//! hides it. The closed loop is for finding a capacity, the open loop for everything else.
//!
//! ```no_run
//! use paceline_loadgen::{Arrivals, Cancel, Load, Plan, Scenario, Target, run};
//! use std::time::Duration;
//!
//! let scenario = Scenario::from_toml(r#"
//!     [[route]]
//!     path = "/jobs?page={1..20}"
//!     weight = 3
//!
//!     [[route]]
//!     name = "GET /jobs/{id}"
//!     path = "/jobs/{1..100000}"
//! "#)?;
//! let mut plan = Plan::new(Target::parse("http://127.0.0.1:8080")?, scenario);
//! plan.load = Load::Open { rate: 200.0, arrivals: Arrivals::Poisson };
//! plan.duration = Duration::from_secs(30);
//! let report = run(&plan, &Cancel::new())?;
//! print!("{report}");
//! # Ok::<(), paceline_loadgen::Error>(())
//! ```

mod bootstrap;
mod cancel;
mod capacity;
mod client;
mod compare;
mod distribution;
mod error;
mod fetch;
mod grade;
mod intervals;
mod live;
mod plan;
mod report;
mod route_intervals;
mod run;
mod scenario;
mod stats;
mod target;
#[cfg(test)]
mod tests;
mod threshold;

pub use bootstrap::Estimate;
pub use cancel::Cancel;
pub use capacity::{Capacity, Limit, Outcome, Step, Stop, find_capacity};
pub use compare::{Compared, Comparison, Numbers, Ratios, compare};
pub use distribution::Distribution;
pub use error::Error;
pub use fetch::{Answer, Fetcher};
pub use grade::{Evidence, Grade, Judged, Level, Next};
pub use intervals::Intervals;
pub use live::{Live, Moment};
pub use paceline_watch::{Growth, Memory, Watched};
pub use plan::{Arrivals, Load, Plan, Stage};
pub use report::{Errors, Generator, Mode, Percentiles, Report, Row, StageRow};
pub use run::run;
pub use scenario::{Problem, Route, Sample, Sampler, Scenario};
pub use stats::Block;
pub use target::Target;
pub use threshold::{Threshold, Verdict};
