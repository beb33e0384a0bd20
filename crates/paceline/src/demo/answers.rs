//! Whether answers through Paceline are the answers that the API gives by itself.

use std::collections::HashSet;
use std::time::Duration;

use paceline_loadgen::{Answer, Fetcher, Route, Sample, Scenario, Target};

use super::interrupt::Interrupt;

/// Requests that are drawn of each route; the same one is asked only once.
const SAMPLES: usize = 30;
const SEED: u64 = 77;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that may differ: the clock's, those of the connection, and Paceline's own.
const ASIDE: [&str; 9] = [
    "date",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "paceline-request-id",
];

/// What the comparison saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Comparison {
    pub(super) compared: usize,
    /// A sentence for each answer that differs.
    pub(super) differences: Vec<String>,
}

/// Asks for the same things directly and through Paceline, while nothing writes.
pub(super) fn compare(
    scenario: &Scenario,
    direct: &Target,
    through: &Target,
    interrupt: &Interrupt,
) -> anyhow::Result<Comparison> {
    let mut direct = Fetcher::new(direct, TIMEOUT)?;
    let mut through = Fetcher::new(through, TIMEOUT)?;
    let mut comparison = Comparison::default();
    let is_get = |route: &Route| route.method().as_str() == "GET";
    for (index, _) in scenario
        .routes()
        .iter()
        .enumerate()
        .filter(|(_, route)| is_get(route))
    {
        let mut sampler = scenario.sampler(SEED);
        let mut asked = HashSet::new();
        for _ in 0..SAMPLES {
            interrupt.check()?;
            let sample = sampler.sample_of(index);
            if !asked.insert(sample.path.clone()) {
                continue;
            }
            let (expected, got) = (direct.fetch(&sample)?, through.fetch(&sample)?);
            comparison.compared += 1;
            if let Some(difference) = difference(&expected, &got) {
                comparison.differences.push(sentence(&sample, &difference));
            }
        }
    }
    Ok(comparison)
}

fn sentence(sample: &Sample, difference: &str) -> String {
    format!("{} {}: {difference}", sample.method, sample.path)
}

fn difference(direct: &Answer, through: &Answer) -> Option<String> {
    if direct.status != through.status {
        return Some(format!(
            "status {} became {}",
            direct.status, through.status
        ));
    }
    let (expected, got) = (headers(direct), headers(through));
    if expected != got {
        let lost = expected.iter().filter(|header| !got.contains(header));
        let added = got.iter().filter(|header| !expected.contains(header));
        let show = |(name, value): &(String, String)| format!("{name}: {value}");
        let lost: Vec<String> = lost.map(show).collect();
        let added: Vec<String> = added.map(show).collect();
        return Some(format!(
            "headers [{}] became [{}]",
            lost.join(", "),
            added.join(", ")
        ));
    }
    if direct.body != through.body {
        let at = direct
            .body
            .iter()
            .zip(&through.body)
            .take_while(|(a, b)| a == b)
            .count();
        let (expected, got) = (direct.body.len(), through.body.len());
        return Some(format!(
            "bodies ({expected} and {got} bytes) differ from byte {at} on"
        ));
    }
    None
}

/// The headers that must be equal, in an order that does not matter.
fn headers(answer: &Answer) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !ASIDE.contains(&name.as_str()))
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    headers.sort();
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Answer {
        let mut answer = Answer {
            status,
            headers: Default::default(),
            body: body.into(),
        };
        for (name, value) in headers {
            answer.headers.append(*name, value.parse().unwrap());
        }
        answer
    }

    #[test]
    fn only_what_matters_is_a_difference() {
        let direct = answer(200, &[("a", "1"), ("b", "2"), ("date", "now")], "body");
        let check = |through: Answer, expected: Option<&str>| {
            let found = difference(&direct, &through);
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(part)) => assert!(found.contains(part), "{found}"),
                _ => panic!("{found:?} instead of {expected:?}"),
            }
        };
        check(
            answer(
                200,
                &[("b", "2"), ("a", "1"), ("paceline-request-id", "x")],
                "body",
            ),
            None,
        );
        check(
            answer(200, &[("a", "1"), ("b", "2"), ("keep-alive", "5")], "body"),
            None,
        );
        check(
            answer(201, &[("a", "1"), ("b", "2")], "body"),
            Some("200 became 201"),
        );
        check(answer(200, &[("a", "1")], "body"), Some("[b: 2] became []"));
        check(
            answer(200, &[("a", "1"), ("b", "3")], "body"),
            Some("[b: 2] became [b: 3]"),
        );
        check(
            answer(200, &[("a", "1"), ("b", "2"), ("b", "2")], "body"),
            Some("headers"),
        );
        check(
            answer(200, &[("a", "1"), ("b", "2")], "boxy"),
            Some("from byte 2"),
        );
        check(
            answer(200, &[("a", "1"), ("b", "2")], "body "),
            Some("from byte 4"),
        );
    }
}
