//! How a statement would be executed: what EXPLAIN says.

use serde_json::Value;

/// Nodes of a plan that are looked at.
const NODES_MAX: usize = 10_000;

/// A plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The planner's estimate of its cost.
    pub cost: f64,
    /// The planner's estimate of the rows that it gives.
    pub rows: f64,
    /// Its nodes, each before those below it.
    pub nodes: Vec<PlanNode>,
}

/// One node of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanNode {
    /// `Seq Scan`.
    pub kind: String,
    /// The table, with its schema if it was told.
    pub relation: Option<String>,
    /// The index.
    pub index: Option<String>,
    /// The condition by which rows are thrown away after they were read.
    pub filter: Option<String>,
    /// What it costs without those below it.
    pub own_cost: f64,
    /// The planner's estimate of the rows that it gives.
    pub rows: f64,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The statement has parameters, and the server is older than 16.
    #[error(
        "the statement has parameters, and this version of Postgres cannot plan it without them (16 can)"
    )]
    NeedsValues,
    /// It is not a statement that has a plan.
    #[error("it has no plan")]
    NotPlanned,
    /// The server refused.
    #[error("{0}")]
    Refused(String),
}

impl Plan {
    /// Reads what `EXPLAIN (FORMAT JSON)` prints.
    pub fn parse(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let root = value.get(0)?.get("Plan")?;
        let mut plan = Self {
            cost: number(root, "Total Cost"),
            rows: number(root, "Plan Rows"),
            nodes: Vec::new(),
        };
        plan.walk(root, f64::INFINITY);
        Some(plan)
    }

    /// The node that costs most by itself.
    pub fn costliest(&self) -> Option<&PlanNode> {
        self.nodes
            .iter()
            .max_by(|one, two| one.own_cost.total_cmp(&two.own_cost))
    }

    /// Gives what the node costs, no more than those above it do: LIMIT lets those below it stop early.
    fn walk(&mut self, node: &Value, limit: f64) -> f64 {
        if self.nodes.len() >= NODES_MAX {
            return 0.0;
        }
        let cost = number(node, "Total Cost").min(limit);
        let text = |name: &str| node.get(name)?.as_str().map(str::to_owned);
        let (schema, name) = (text("Schema"), text("Relation Name"));
        let relation = name.map(|name| match schema {
            Some(schema) => format!("{schema}.{name}"),
            None => name,
        });
        let at = self.nodes.len();
        self.nodes.push(PlanNode {
            kind: text("Node Type").unwrap_or_default(),
            relation,
            index: text("Index Name"),
            filter: text("Filter"),
            own_cost: 0.0,
            rows: number(node, "Plan Rows"),
        });
        let below = node.get("Plans").and_then(Value::as_array);
        let mut rest = cost;
        for child in below.into_iter().flatten() {
            // The inner side of a nested loop is told for one round.
            rest -= self.walk(child, rest.max(0.0));
        }
        self.nodes[at].own_cost = rest.max(0.0);
        cost
    }
}

fn number(node: &Value, name: &str) -> f64 {
    node.get(name).and_then(Value::as_f64).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_costliest_node_is_the_one_that_costs_by_itself() {
        let json = r#"[{"Plan": {"Node Type": "Limit", "Total Cost": 100.0, "Plan Rows": 10, "Plans": [
            {"Node Type": "Sort", "Total Cost": 99.0, "Plan Rows": 50, "Plans": [
                {"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "jobs", "Filter": "(a = 1)",
                 "Total Cost": 80.0, "Plan Rows": 50}]}]}}]"#;
        let plan = Plan::parse(json).unwrap();
        assert_eq!((plan.cost, plan.rows, plan.nodes.len()), (100.0, 10.0, 3));
        let node = plan.costliest().unwrap();
        assert_eq!(node.kind, "Seq Scan");
        assert_eq!(node.relation.as_deref(), Some("public.jobs"));
        assert_eq!(node.filter.as_deref(), Some("(a = 1)"));
        assert_eq!(plan.nodes[1].own_cost, 19.0);
    }

    #[test]
    fn a_limit_bounds_what_is_below_it() {
        let json = r#"[{"Plan": {"Node Type": "Limit", "Total Cost": 5.0, "Plans": [
            {"Node Type": "Index Scan", "Total Cost": 9000.0}]}}]"#;
        let plan = Plan::parse(json).unwrap();
        assert_eq!(plan.nodes[1].own_cost, 5.0);
        assert_eq!(plan.nodes[0].own_cost, 0.0);
    }

    #[test]
    fn what_is_no_plan_is_none() {
        for text in ["", "[]", "{}", "[1]", "null", "[{\"Plan\": 3}"] {
            assert_eq!(Plan::parse(text), None, "{text}");
        }
    }
}
