//! `paceline load`: a measured load, and the gate made of it.

mod args;
mod output;
mod view;

pub(crate) use args::read_scenario;

use std::process::ExitCode;

use anyhow::bail;
pub(crate) use args::Args;
use output::{ComparedOutcome, Outcome, print};
use paceline_loadgen::{Cancel, Evidence, Grade, Plan, Row, Target, compare, find_capacity};
use view::View;

use super::GATE_FAILED;
use crate::interrupt;
use crate::page;

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut plan = args.plan()?;
    for threshold in &args.threshold {
        threshold.check(&plan.scenario)?;
        threshold.check_servers(args.versus.is_some())?;
    }
    if let Some(file) = &args.html {
        page::check_writable(file)?;
    }
    let cancel = Cancel::new();
    let on_interrupt = cancel.clone();
    interrupt::once(move || on_interrupt.cancel())?;
    let view = View::open(args.quiet);
    plan.live = view.as_ref().map(View::live);
    if let Some(url) = &args.versus {
        return versus(&args, &plan, url, &cancel, view);
    }
    if args.find_capacity {
        return capacity(&args, &plan, &cancel, view);
    }
    measure(&args, &plan, &cancel, view)
}

/// One load.
fn measure(
    args: &Args,
    plan: &Plan,
    cancel: &Cancel,
    view: Option<View>,
) -> anyhow::Result<ExitCode> {
    let report = paceline_loadgen::run(plan, cancel)?;
    drop(view);
    let thresholds: Vec<_> = args
        .threshold
        .iter()
        .map(|limit| limit.judge(&report))
        .collect();
    let missed = thresholds.iter().any(|verdict| !verdict.passed);
    let evidence = Evidence {
        instances: args.instances,
        ..Evidence::default()
    };
    let outcome = Outcome {
        grade: Grade::of(&report, evidence),
        report: &report,
        thresholds: &thresholds,
    };
    outcome.print(args.json)?;
    if let Some(file) = &args.html {
        let target = plan.target.to_string();
        let page = page::of_load(&target, &report, &outcome.grade, &thresholds);
        page::save(&page::signed(page), file)?;
    }
    if report.total.requests == 0 && !report.cancelled {
        bail!("No request was due within the measured time; measure longer or at a higher rate.");
    }
    let Row {
        requests,
        dropped,
        errors,
        ..
    } = &report.total;
    if *requests > 0 && errors.connect + dropped == *requests && errors.connect > 0 {
        bail!(
            "Nothing answers at {}: no connection could be made.",
            plan.target
        );
    }
    // A load that was cut short proves nothing.
    Ok(gate(missed || (report.cancelled && !thresholds.is_empty())))
}

/// Two servers in turns.
fn versus(
    args: &Args,
    plan: &Plan,
    url: &str,
    cancel: &Cancel,
    view: Option<View>,
) -> anyhow::Result<ExitCode> {
    let other = Target::parse(url)?;
    let comparison = compare(plan, &other, cancel)?;
    drop(view);
    let limits = args.threshold.iter();
    let thresholds: Vec<_> = limits.map(|limit| limit.judge_ratio(&comparison)).collect();
    let outcome = ComparedOutcome {
        comparison: &comparison,
        thresholds: &thresholds,
    };
    outcome.print(args.json)?;
    if let Some(file) = &args.html {
        let page = page::of_comparison(&comparison, &thresholds);
        page::save(&page::signed(page), file)?;
    }
    let total = &comparison.total;
    for (numbers, target) in [(&total.a, &plan.target), (&total.b, &other)] {
        if numbers.requests > 0 && numbers.error_rate == 1.0 {
            bail!("{target} answered no request successfully: there is nothing to compare.");
        }
    }
    let missed = thresholds.iter().any(|verdict| !verdict.passed);
    Ok(gate(
        missed || (comparison.cancelled && !thresholds.is_empty()),
    ))
}

/// The search for the highest rate. It fails when no rate keeps the objectives.
fn capacity(
    args: &Args,
    plan: &Plan,
    cancel: &Cancel,
    view: Option<View>,
) -> anyhow::Result<ExitCode> {
    let found = find_capacity(plan, args.rate_or_default(), &args.slo, cancel)?;
    drop(view);
    print(&found, args.json)?;
    Ok(gate(found.rate.is_none()))
}

fn gate(failed: bool) -> ExitCode {
    if failed {
        ExitCode::from(GATE_FAILED)
    } else {
        ExitCode::SUCCESS
    }
}
