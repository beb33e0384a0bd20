//! A running instance, asked at its admin port.

use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_loadgen::{Fetcher, Sample, Target};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Where an instance listens unless it is told otherwise.
pub(crate) const URL_DEFAULT: &str = "http://127.0.0.1:9090";

/// Far more than an answer takes; a stuck instance must not hang a pipeline.
const TIME_MAX: Duration = Duration::from_secs(30);

/// See the module. Keeps its connection from question to question.
pub(crate) struct Instance {
    target: Target,
    fetcher: Fetcher,
}

/// What a refusal says (RFC 9457).
#[derive(Deserialize)]
struct ProblemDetails {
    detail: String,
}

impl Instance {
    /// The instance with this admin port.
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        let target = Target::parse(url)?;
        let fetcher = Fetcher::new(&target, TIME_MAX)?;
        Ok(Self { target, fetcher })
    }

    /// What it answers at this path.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        self.ask("GET", path)
    }

    /// What it answers to this method at this path.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
    ) -> anyhow::Result<T> {
        let target = &self.target;
        let mut sample = Sample {
            method: method.parse()?,
            ..Sample::get(path)
        };
        // No web page can send this unasked.
        sample.headers.insert("x-paceline", "diagnose".parse()?);
        let answer = self.fetcher.fetch(&sample).with_context(|| {
            format!("Could not ask {target}; is `paceline run` there, and is this its admin port")
        })?;
        if matches!(answer.status, 200 | 201) {
            return serde_json::from_slice(&answer.body).with_context(|| {
                format!("{target} did not answer as the admin port of this version does")
            });
        }
        match serde_json::from_slice::<ProblemDetails>(&answer.body) {
            Ok(problem) => bail!(
                "{target} answered with {}: {}",
                answer.status,
                problem.detail
            ),
            Err(_) => bail!(
                "{target} answered with {}; it is not the admin port of an instance.",
                answer.status
            ),
        }
    }
}
