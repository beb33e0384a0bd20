//! `/metrics`: everything that is counted, as histograms, counters and gauges; never an average.
//!
//! The numbers live where they are counted; this is a collector over their snapshots. Labels are bounded, because routes
//! and shapes are (see `journal.routes_max`, `journal.shapes_max`). Names follow the OpenTelemetry semantic conventions
//! where these are stable, with underscores for dots; our own begin with `paceline_`.

mod classic;
mod gateway;
mod journal;
mod pool;
mod process;
mod sheet;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use crate::Admin;
use crate::respond::{self, Answer};
use sheet::Sheet;

pub(crate) use journal::dropped;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics for whoever accepts it, else the classic text format.
pub(crate) fn metrics(admin: &Arc<Admin>, headers: &HeaderMap) -> Answer {
    let accepts = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let openmetrics = accepts
        .flat_map(|value| value.split(','))
        .any(|kind| kind.contains("openmetrics-text"));
    match page(Everything(Arc::clone(admin))) {
        Ok(page) if openmetrics => respond::text(OPENMETRICS, page),
        Ok(page) => respond::text(CLASSIC, classic::from_openmetrics(&page)),
        Err(error) => {
            tracing::error!(%error, "Could not write the metrics.");
            let detail = "The metrics could not be written.";
            respond::problem(StatusCode::INTERNAL_SERVER_ERROR, detail)
        }
    }
}

fn page(collector: impl Collector) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut page = String::with_capacity(64 * 1024);
    text::encode(&mut page, &registry)?;
    Ok(page)
}

#[derive(Debug)]
struct Everything(Arc<Admin>);

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let admin = &self.0;
        let parts = &admin.parts;
        let mut sheet = Sheet::new(encoder);
        journal::routes(&mut sheet, &parts.journal.routes())?;
        journal::shapes(&mut sheet, &parts.journal.shapes())?;
        journal::totals(&mut sheet, &parts.journal.totals())?;
        if let Some((gateway, _)) = &parts.gateway {
            gateway::write(&mut sheet, &gateway.stats())?;
        }
        if let Some((proxy, _)) = &parts.proxy {
            pool::write(&mut sheet, &proxy.pools())?;
            pool::clients(&mut sheet, &proxy.stats())?;
        }
        process::write(&mut sheet, admin)
    }
}
