//! Another configuration while everything runs: read and checked as a whole, then applied, or nothing is.

use std::sync::Arc;

use paceline_listen::{Control, Effect, Reloaded, Setting};
use paceline_pgproxy::Proxy;
use tracing::{error, info, warn};

use super::log::LevelSwitch;
use crate::config::{Config, Effective, Loaded, Problem, Severity, is_reloadable};

/// Reads the configuration once more, from where it was read at the start.
pub(crate) type Load = Box<dyn Fn() -> Loaded>;

/// What is needed to apply another configuration.
pub(super) struct Reloader {
    pub(super) load: Load,
    /// Every key as it is in effect.
    pub(super) settings: Vec<Effective>,
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) level: LevelSwitch,
    pub(super) control: Control,
}

impl Reloader {
    /// Tells whoever wants to know what the keys are.
    pub(super) fn publish(&self) {
        let defaults = Effective::defaults();
        let default_of = |key: &str| {
            let found = defaults.iter().find(|setting| setting.key == key);
            found.and_then(|setting| setting.value.clone())
        };
        let setting = |effective: &Effective| Setting {
            key: effective.key.clone(),
            value: effective.value.clone(),
            default: default_of(&effective.key),
            reloadable: can_take(&effective.key, self.proxy.is_some()),
        };
        let settings = self.settings.iter().map(setting).collect();
        self.control.set_settings(settings);
    }

    /// Does it, logs what came of it, and says so. `config` is what the process goes on with.
    pub(super) fn reload(&mut self, config: &mut Config) -> Reloaded {
        let outcome = self.try_reload(config);
        match &outcome {
            Ok(effect) => {
                for warning in &effect.warnings {
                    warn!("{warning}");
                }
                let (changed, restart) =
                    (effect.changed.join(", "), effect.need_restart.join(", "));
                info!(
                    changed,
                    need_restart = restart,
                    "The configuration was read again."
                );
            }
            Err(problems) => {
                for problem in problems {
                    error!("{problem}");
                }
                error!("The configuration is wrong; everything is as it was.");
            }
        }
        outcome
    }

    fn try_reload(&mut self, config: &mut Config) -> Reloaded {
        let loaded = (self.load)();
        let (errors, warnings): (Vec<&Problem>, Vec<_>) = loaded
            .problems
            .iter()
            .partition(|problem| problem.severity == Severity::Error);
        let texts = |problems: Vec<&Problem>| problems.iter().map(ToString::to_string).collect();
        let Some(new) = loaded.config else {
            return Err(texts(errors));
        };
        let mut effect = Effect {
            warnings: texts(warnings),
            ..Effect::default()
        };
        let proxy_goes_on = self.proxy.is_some() && new.postgres.is_some();
        if let (Some(proxy), Some(postgres)) = (&self.proxy, new.postgres) {
            let pools = proxy.reload(postgres);
            let pools = pools.map_err(|error| vec![error.to_string()])?;
            effect
                .changed
                .extend(pools.iter().map(|pool| format!("pool {pool}")));
        }
        self.level.set(new.log.level);
        for key in differences(&self.settings, &loaded.settings) {
            if can_take(&key, proxy_goes_on) {
                effect.changed.push(key);
            } else {
                effect.need_restart.push(key);
            }
        }
        config.drain_delay = new.drain_delay;
        config.drain_timeout = new.drain_timeout;
        config.handover_timeout = new.handover_timeout;
        self.settings = self.in_effect(loaded.settings, proxy_goes_on);
        self.publish();
        Ok(effect)
    }

    /// The new values, except for the keys that stay as they are until the next start.
    fn in_effect(&self, new: Vec<Effective>, proxy_goes_on: bool) -> Vec<Effective> {
        let is_taken = |setting: &Effective| can_take(&setting.key, proxy_goes_on);
        let kept = self.settings.iter().filter(|setting| !is_taken(setting));
        let mut in_effect: Vec<_> = kept.cloned().collect();
        in_effect.extend(new.into_iter().filter(is_taken));
        in_effect
    }
}

/// Whether another value of this key takes effect at once. A half that does not run, or will run no more, takes none.
fn can_take(key: &str, proxy_goes_on: bool) -> bool {
    is_reloadable(key) && (proxy_goes_on || !key.starts_with("postgres."))
}

/// The keys whose values differ, those that only one side has among them.
fn differences(old: &[Effective], new: &[Effective]) -> Vec<String> {
    let differs = |one: &&Effective, others: &[Effective]| {
        let other = others.iter().find(|other| other.key == one.key);
        other.is_none_or(|other| other.value != one.value)
    };
    let changed = new.iter().filter(|setting| differs(setting, old));
    let gone = old
        .iter()
        .filter(|setting| !new.iter().any(|other| other.key == setting.key));
    changed
        .chain(gone)
        .map(|setting| setting.key.clone())
        .collect()
}
