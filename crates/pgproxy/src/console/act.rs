//! Commands that change something.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use paceline_listen::Leave;

use super::command::Shutdown;
use crate::config::ANY;
use crate::databases::Target;
use crate::error::Refusal;
use crate::proxy::Proxy;

/// How often it is looked whether what a command waits for has come.
const LOOK: Duration = Duration::from_millis(10);

/// What a command has led to.
pub(super) type Done = Result<(), Refusal>;

/// Nobody gets a server connection any more; waits until all are back, and closed.
pub(super) async fn pause(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    if !proxy.orders.pause(database) {
        return Err(Refusal::console("already paused"));
    }
    let targets = || of(proxy, database);
    targets().iter().for_each(|target| target.pool.pause());
    tracing::info!(
        database,
        "PAUSE: transactions come to their end, then nobody gets a server connection."
    );
    while !targets()
        .iter()
        .all(|target| target.pool.has_no_connection())
    {
        // Whoever has resumed meanwhile did not wait for us.
        if database.map_or(!proxy.orders.all_paused(), |name| {
            !proxy.orders.is_paused(name)
        }) {
            return Err(Refusal::console(
                "resumed before all server connections were back",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

pub(super) fn resume(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    if !proxy.orders.resume(database) {
        return Err(Refusal::console(match database {
            None => "nothing is paused".to_owned(),
            Some(name) => format!("database {name:?} is not paused"),
        }));
    }
    for target in of(proxy, database) {
        if !proxy.orders.is_paused(&target.database) {
            target.pool.resume();
        }
    }
    tracing::info!(database, "RESUME.");
    Ok(())
}

/// Server connections are replaced as they come back.
pub(super) fn reconnect(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    proxy.orders.close_up_to(proxy.means.roster.last_id());
    let targets = of(proxy, database);
    targets.iter().for_each(|target| target.pool.retire());
    tracing::info!(
        database,
        "RECONNECT: server connections are closed as they come back."
    );
    Ok(())
}

/// Waits until the server connections that RECONNECT has found are gone.
pub(super) async fn wait_close(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    let last = proxy.orders.closing.load(Relaxed);
    let is_left = || {
        let servers = proxy.means.roster.servers();
        let mut old = servers.iter().filter(|card| card.id <= last);
        old.any(|card| database.is_none_or(|name| card.origin.database == name))
    };
    while is_left() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Sends away all clients, and holds those that come until RESUME.
pub(super) fn kill(proxy: &Proxy, database: Option<&str>) -> Done {
    known(proxy, database)?;
    if !proxy.orders.pause(database) {
        return Err(Refusal::console("already paused"));
    }
    for target in of(proxy, database) {
        target.pool.pause();
    }
    let is_meant = |name: &str| database.is_none_or(|database| database == name);
    let clients = proxy
        .means
        .roster
        .kill(|card| is_meant(&card.origin.database));
    tracing::info!(database, clients, "KILL: clients were sent away.");
    Ok(())
}

pub(super) fn kill_client(proxy: &Proxy, id: u64) -> Done {
    // One that is on its way out is gone already.
    match proxy
        .means
        .roster
        .kill(|card| card.id == id && !card.is_killed())
    {
        0 => Err(Refusal::console(format!("there is no client {id}"))),
        _ => Ok(()),
    }
}

pub(super) fn set_disabled(proxy: &Proxy, database: &str, is_disabled: bool) -> Done {
    known(proxy, Some(database))?;
    proxy.orders.set_disabled(database, is_disabled);
    tracing::info!(
        database,
        is_disabled,
        "The console has decided who may ask for a database."
    );
    Ok(())
}

/// The notices are what was odd, and what waits for a new start.
pub(super) async fn reload(proxy: &Proxy) -> Result<Vec<String>, Refusal> {
    let Some(control) = proxy.control.get() else {
        return Err(Refusal::console(
            "this process cannot read its configuration again",
        ));
    };
    match control.reload().await {
        Ok(Ok(effect)) => {
            let mut notices = effect.warnings;
            if !effect.need_restart.is_empty() {
                let keys = effect.need_restart.join(", ");
                notices.push(format!("at the next start: {keys}"));
            }
            Ok(notices)
        }
        Ok(Err(problems)) => Err(Refusal::reload_failed(&problems)),
        Err(busy) => Err(Refusal::console(busy.to_string())),
    }
}

pub(super) fn shut_down(proxy: &Proxy, how: Shutdown) -> Done {
    let Some(control) = proxy.control.get() else {
        return Err(Refusal::console("this process cannot be ended from here"));
    };
    let how = match how {
        Shutdown::Now => Leave::Now,
        Shutdown::WaitForServers => Leave::AfterTransactions,
        Shutdown::WaitForClients => Leave::AfterClients,
    };
    control
        .leave(how)
        .map_err(|busy| Refusal::console(busy.to_string()))
}

fn of(proxy: &Proxy, database: Option<&str>) -> Vec<Arc<Target>> {
    let mut targets = proxy.databases.targets();
    targets.retain(|target| database.is_none_or(|name| target.database == name));
    targets
}

fn known(proxy: &Proxy, database: Option<&str>) -> Done {
    let Some(name) = database else { return Ok(()) };
    let config = proxy.config();
    let is_known = config
        .databases
        .iter()
        .any(|database| database.name == name || database.name == ANY);
    match is_known {
        true => Ok(()),
        false => Err(Refusal::console(format!("there is no database {name:?}"))),
    }
}
