//! What a running instance has found.

use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_diagnose::Report;
use paceline_loadgen::{Fetcher, Sample, Target};

/// Far more than an answer takes; a stuck instance must not hang a pipeline.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Asks the admin port.
pub(super) fn fetch(url: &str) -> anyhow::Result<Report> {
    let target = Target::parse(url)?;
    let sample = Sample {
        route: 0,
        method: Default::default(),
        path: "/api/v1/findings".to_owned(),
        headers: Default::default(),
        body: Default::default(),
    };
    let answer = Fetcher::new(&target, TIME_MAX)
        .and_then(|mut fetcher| fetcher.fetch(&sample))
        .with_context(|| {
            format!("Could not ask {target}; is `paceline run` there, and is this its admin port")
        })?;
    if answer.status != 200 {
        bail!(
            "{target} answered with {}; it is not the admin port of an instance.",
            answer.status
        );
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("{target} did not answer as the admin port of this version does"))
}
