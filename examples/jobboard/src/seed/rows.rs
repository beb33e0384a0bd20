//! The rows of each table, in COPY's text format.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::random::Random;
use crate::model::SENIORITIES;

/// How many rows each table gets. All follow from the number of jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) companies: u64,
    pub(crate) locations: u64,
    pub(crate) skills: u64,
    pub(crate) jobs: u64,
    pub(crate) users: u64,
    pub(crate) applications: u64,
}

impl Sizes {
    pub(crate) fn for_jobs(jobs: u64) -> Self {
        Sizes {
            companies: (jobs / 20).max(20),
            locations: 300,
            skills: 400,
            jobs,
            users: (jobs / 5).max(100),
            applications: jobs * 6 / 10,
        }
    }
}

const CITIES: [&str; 30] = [
    "Berlin",
    "Hamburg",
    "Munich",
    "Vienna",
    "Zurich",
    "Paris",
    "Lyon",
    "Madrid",
    "Lisbon",
    "Porto",
    "London",
    "Leeds",
    "Dublin",
    "Oslo",
    "Bergen",
    "Stockholm",
    "Malmo",
    "Helsinki",
    "Turku",
    "Tallinn",
    "Riga",
    "Vilnius",
    "Warsaw",
    "Krakow",
    "Prague",
    "Brno",
    "Budapest",
    "Athens",
    "Rome",
    "Milan",
];
const COUNTRIES: [&str; 6] = ["Austria", "France", "Germany", "Italy", "Poland", "Sweden"];
const ROLES: [&str; 16] = [
    "Backend Engineer",
    "Frontend Engineer",
    "Data Engineer",
    "Data Scientist",
    "Site Reliability Engineer",
    "Product Manager",
    "Product Designer",
    "QA Engineer",
    "Security Engineer",
    "Mobile Developer",
    "Machine Learning Engineer",
    "Engineering Manager",
    "Technical Writer",
    "Support Engineer",
    "Database Administrator",
    "Solutions Architect",
];
const FIELDS: [&str; 12] = [
    "Payments",
    "Logistics",
    "Search",
    "Platform",
    "Growth",
    "Infrastructure",
    "Analytics",
    "Identity",
    "Billing",
    "Messaging",
    "Marketplace",
    "Developer Tools",
];
const WORDS: [&str; 32] = [
    "you",
    "will",
    "build",
    "services",
    "that",
    "people",
    "rely",
    "on",
    "every",
    "day",
    "with",
    "a",
    "small",
    "team",
    "we",
    "value",
    "clear",
    "writing",
    "careful",
    "testing",
    "and",
    "calm",
    "operations",
    "our",
    "stack",
    "is",
    "boring",
    "by",
    "choice",
    "deploys",
    "are",
    "frequent",
];
const COMPANY_FIRST: [&str; 20] = [
    "Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris", "Juniper",
    "Kestrel", "Lumen", "Maple", "North", "Onyx", "Pine", "Quartz", "River", "Summit", "Tundra",
];
const COMPANY_LAST: [&str; 10] = [
    "Labs",
    "Systems",
    "Works",
    "Software",
    "Analytics",
    "Networks",
    "Robotics",
    "Health",
    "Energy",
    "Studios",
];
const SKILL_ROOTS: [&str; 20] = [
    "Rust",
    "Go",
    "Python",
    "TypeScript",
    "Java",
    "Kotlin",
    "Swift",
    "SQL",
    "Postgres",
    "Redis",
    "Kafka",
    "Kubernetes",
    "Terraform",
    "Linux",
    "Networking",
    "React",
    "GraphQL",
    "Spark",
    "Statistics",
    "Accessibility",
];

pub(crate) fn company(random: &mut Random, id: u64) -> String {
    let name = format!(
        "{} {} {id}",
        random.pick(&COMPANY_FIRST),
        random.pick(&COMPANY_LAST)
    );
    let about = sentence(random, 30);
    let employees = 3 + random.skewed(5000);
    format!("{id}\t{name}\thttps://company-{id}.example\t{about}\t{employees}\n")
}

pub(crate) fn location(random: &mut Random, id: u64) -> String {
    let index = usize::try_from(id - 1).unwrap_or(0);
    let city = CITIES[index % CITIES.len()];
    let country = random.pick(&COUNTRIES);
    match index / CITIES.len() {
        0 => format!("{id}\t{city}\t{country}\n"),
        round => format!("{id}\t{city} {}\t{country}\n", round + 1),
    }
}

pub(crate) fn skill(_random: &mut Random, id: u64) -> String {
    let index = usize::try_from(id - 1).unwrap_or(0);
    let root = SKILL_ROOTS[index % SKILL_ROOTS.len()];
    match index / SKILL_ROOTS.len() {
        0 => format!("{id}\t{root}\n"),
        level => format!("{id}\t{root} {}\n", level + 1),
    }
}

pub(crate) fn job(random: &mut Random, id: u64, sizes: Sizes) -> String {
    let company = 1 + random.below(sizes.companies);
    let location = 1 + random.skewed(sizes.locations);
    let title = format!("{}, {}", random.pick(&ROLES), random.pick(&FIELDS));
    let description = sentence(random, 18);
    let seniority = random.pick(&SENIORITIES);
    let remote = if random.below(10) < 3 { 't' } else { 'f' };
    let minimum = 30_000 + 1_000 * random.below(70);
    let maximum = minimum + 5_000 + 1_000 * random.below(40);
    let posted = moment(random);
    format!(
        "{id}\t{company}\t{location}\t{minimum}\t{maximum}\t{remote}\t{posted}\t{seniority}\t\
         {title}\t{description}\n"
    )
}

/// Three to six different skills for a job.
pub(crate) fn job_skills(random: &mut Random, job: u64, sizes: Sizes) -> String {
    let count = usize::try_from(3 + random.below(4)).unwrap_or(3);
    let mut skills = BTreeSet::new();
    while skills.len() < count {
        skills.insert(1 + random.skewed(sizes.skills));
    }
    skills.iter().fold(String::new(), |mut rows, skill| {
        let _ = writeln!(rows, "{job}\t{skill}");
        rows
    })
}

pub(crate) fn user(random: &mut Random, id: u64) -> String {
    let (high, low) = (random.next(), random.next());
    format!(
        "{id}\tUser {id}\tuser{id}@mail.example\t{high:016x}{low:016x}\t{}\n",
        moment(random)
    )
}

pub(crate) fn application(random: &mut Random, id: u64, sizes: Sizes) -> String {
    let job = 1 + random.skewed(sizes.jobs);
    let user = 1 + random.below(sizes.users);
    let letter = sentence(random, 8);
    format!("{id}\t{job}\t{user}\t{letter}\t{}\n", moment(random))
}

fn sentence(random: &mut Random, words: usize) -> String {
    let mut text = String::with_capacity(words * 7);
    for word in 0..words {
        if word > 0 {
            text.push(' ');
        }
        text.push_str(random.pick(&WORDS));
    }
    text.push('.');
    text
}

/// Some second of 2025.
fn moment(random: &mut Random) -> String {
    let (month, day) = (1 + random.below(12), 1 + random.below(28));
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    format!("2025-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}+00")
}
