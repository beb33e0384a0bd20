//! Loads, and what they cost the database.

use std::time::Duration;

use anyhow::bail;
use paceline_loadgen::{Arrivals, Estimate, Fetcher, Load, Plan, Report, Scenario, Target, run};

use super::house::House;
use super::interrupt::Interrupt;
use super::statistics::Counters;

/// Connections of the closed loop that finds a capacity: enough to keep all cores busy although
/// some routes wait (for a mail server, for instance), the same before and after.
pub(super) const CAPACITY_CONNECTIONS: usize = 16;
/// The share of the direct capacity at which latencies are compared.
pub(super) const LOAD_SHARE: f64 = 0.6;
pub(super) const WARMUP: Duration = Duration::from_secs(2);
const IN_FLIGHT_MAX: usize = 256;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Requests of each route when it is asked alone.
const PROBES: u32 = 5;
pub(super) const SEED: u64 = 20;

/// How each load is made.
pub(super) struct Loads {
    pub(super) scenario: Scenario,
    pub(super) measured: Duration,
}

/// A load, and what the database counted meanwhile.
pub(super) struct Measured {
    pub(super) report: Report,
    pub(super) database: Counters,
}

/// Requests per second that can be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) rps: f64,
    /// Where that lies with 95 % confidence, if the load lasted long enough to tell.
    pub(super) interval: Option<Estimate>,
}

impl Loads {
    /// Requests per second that the target can answer, by a short closed loop.
    pub(super) fn capacity(
        &self,
        target: &Target,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Capacity> {
        let load = Load::Closed {
            connections: CAPACITY_CONNECTIONS,
        };
        let mut plan = self.plan(target, load);
        plan.warmup = WARMUP / 2;
        plan.duration = (self.measured / 3).max(Duration::from_secs(1));
        let report = self.run(&plan, interrupt)?;
        if report.total.requests_per_s <= 0.0 {
            bail!("the sample API answered nothing:\n{report}");
        }
        Ok(Capacity {
            rps: report.total.requests_per_s,
            interval: report.intervals.requests_per_s,
        })
    }

    /// The rate of the open loop.
    pub(super) fn rate(capacity_rps: f64) -> f64 {
        LOAD_SHARE * capacity_rps
    }

    /// The open loop. `from` are the counters before whatever opens connections for this load.
    pub(super) fn measure(
        &self,
        target: &Target,
        rate: f64,
        house: &House<'_>,
        from: Counters,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Measured> {
        let plan = self.plan(
            target,
            Load::Open {
                rate,
                arrivals: Arrivals::Poisson,
            },
        );
        let report = self.run(&plan, interrupt)?;
        let database = house.statistics.counters(interrupt)? - from;
        Ok(Measured { report, database })
    }

    /// Statements per request of each route, by asking it alone.
    pub(super) fn probe(
        &self,
        target: &Target,
        house: &House<'_>,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Vec<f64>> {
        let mut fetcher = Fetcher::new(target, TIMEOUT)?;
        let mut per_request = Vec::new();
        let mut from = house.statistics.counters(interrupt)?;
        for route in 0..self.scenario.routes().len() {
            // The same requests before and after.
            let mut sampler = self.scenario.sampler(SEED);
            for _ in 0..PROBES {
                interrupt.check()?;
                fetcher.fetch(&sampler.sample_of(route))?;
            }
            let to = house.statistics.counters(interrupt)?;
            per_request.push((to - from).statements as f64 / f64::from(PROBES));
            from = to;
        }
        Ok(per_request)
    }

    fn plan(&self, target: &Target, load: Load) -> Plan {
        let mut plan = Plan::new(target.clone(), self.scenario.clone());
        plan.load = load;
        plan.warmup = WARMUP;
        plan.duration = self.measured;
        plan.timeout = TIMEOUT;
        plan.max_in_flight = IN_FLIGHT_MAX;
        plan.seed = SEED;
        plan
    }

    fn run(&self, plan: &Plan, interrupt: &Interrupt) -> anyhow::Result<Report> {
        let report = run(plan, interrupt.cancel())?;
        interrupt.check()?;
        Ok(report)
    }
}
