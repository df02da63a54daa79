//! The task table's rows: filtered, sorted, and grouped by spawn location.
//!
//! Only ids come out; whoever shows them formats those that are visible.

use std::{cmp::Ordering, time::Duration};

use asyncwatch_findings::Location;

use super::{Histogram, Model, Site, SiteId, Task, TaskId};

/// What a row stands for. It stays the same however the table is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowId {
    /// One task.
    Task(TaskId),
    /// All tasks of one place.
    Site(SiteId),
}

/// A column of the task table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// tokio's task id, else asyncwatch's.
    Id,
    /// Name.
    Name,
    /// Kind.
    Kind,
    /// State.
    State,
    /// Share of the last interval inside polls.
    Load,
    /// Time inside polls.
    Busy,
    /// Time between wakes and polls.
    Scheduled,
    /// The rest of its time.
    Idle,
    /// Number of polls.
    Polls,
    /// 99th percentile of its polls.
    P99,
    /// The longest poll.
    Longest,
    /// Time since it was spawned.
    Age,
    /// Tasks alive (of a place).
    Alive,
    /// Tasks spawned so far (of a place).
    Spawned,
    /// Where it was spawned.
    Place,
}

impl Column {
    /// The columns of single tasks, left to right.
    pub const TASKS: &[Column] = &[
        Column::Id,
        Column::Name,
        Column::Kind,
        Column::State,
        Column::Load,
        Column::Busy,
        Column::Scheduled,
        Column::Idle,
        Column::Polls,
        Column::P99,
        Column::Longest,
        Column::Age,
        Column::Place,
    ];

    /// The columns of places, left to right.
    pub const SITES: &[Column] = &[
        Column::Place,
        Column::Name,
        Column::Kind,
        Column::Alive,
        Column::Spawned,
        Column::Busy,
        Column::Scheduled,
        Column::Polls,
        Column::P99,
        Column::Longest,
    ];

    /// Whether the interesting end is the large one.
    pub const fn largest_first(self) -> bool {
        !matches!(
            self,
            Column::Id | Column::Name | Column::Kind | Column::Place
        )
    }
}

/// What the user wants to see, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Words that all have to occur, whatever their case; `!word` must not occur.
    pub filter: String,
    /// Only tasks of this place.
    pub site: Option<SiteId>,
    /// Sort by this.
    pub sort: Column,
    /// Largest first.
    pub descending: bool,
    /// One row per place instead of one per task.
    pub grouped: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            filter: String::new(),
            site: None,
            sort: Column::Longest,
            descending: true,
            grouped: false,
        }
    }
}

impl Query {
    /// The columns there are to sort by.
    pub fn columns(&self) -> &'static [Column] {
        if self.grouped {
            Column::SITES
        } else {
            Column::TASKS
        }
    }

    /// Sorts by `column`, or turns the order around if it already does.
    pub fn sort_by(&mut self, column: Column) {
        if self.sort == column {
            self.descending = !self.descending;
        } else {
            self.sort = column;
            self.descending = column.largest_first();
        }
    }

    /// Groups by place, or no longer does. A column that only one of the two
    /// tables has gives way to the longest poll.
    pub fn toggle_grouped(&mut self) {
        self.grouped = !self.grouped;
        if !self.columns().contains(&self.sort) {
            self.sort = Column::Longest;
            self.descending = true;
        }
    }
}

/// The rows that `query` asks for, in order. Missing numbers come last in either
/// order; equal ones stay in the order of their ids, so rows do not dance.
pub fn rows(model: &Model, query: &Query) -> Vec<RowId> {
    let words = Words::parse(&query.filter);
    let mut keyed: Vec<(Key<'_>, RowId)> = if query.grouped {
        model
            .sites()
            .filter(|site| words.match_site(site))
            .map(|site| (site_key(site, query.sort), RowId::Site(site.id)))
            .collect()
    } else {
        model
            .tasks()
            .filter(|task| query.site.is_none_or(|site| task.site == site))
            .filter(|task| words.match_task(task, model.site(task.site)))
            .map(|task| (task_key(model, task, query.sort), RowId::Task(task.id)))
            .collect()
    };
    keyed.sort_unstable_by(|(a, a_id), (b, b_id)| {
        a.compare(b, query.descending).then_with(|| a_id.cmp(b_id))
    });
    keyed.into_iter().map(|(_, id)| id).collect()
}

/// 99th percentile of a task's or place's polls.
pub fn p99(histogram: Option<&Histogram>, longest: Option<Duration>) -> Option<Duration> {
    histogram?.percentile(0.99, longest)
}

#[derive(Clone, Copy, Debug)]
enum Key<'a> {
    Number(u64),
    Text(&'a str, u32),
    Missing,
}

impl Key<'_> {
    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Key::Missing, Key::Missing) => return Ordering::Equal,
            (Key::Missing, _) => return Ordering::Greater,
            (_, Key::Missing) => return Ordering::Less,
            (Key::Number(a), Key::Number(b)) => a.cmp(b),
            (Key::Text(a, a_line), Key::Text(b, b_line)) => a.cmp(b).then(a_line.cmp(b_line)),
            (Key::Number(_), Key::Text(..)) => Ordering::Less,
            (Key::Text(..), Key::Number(_)) => Ordering::Greater,
        };
        if descending { order.reverse() } else { order }
    }
}

fn task_key<'a>(model: &'a Model, task: &'a Task, column: Column) -> Key<'a> {
    match column {
        Column::Id => Key::Number(task.number()),
        Column::Name => text(&task.name),
        Column::Kind => text(task.kind.as_str()),
        Column::State => Key::Number(task.state as u64),
        Column::Load => match model.load(task.id) {
            Some(load) => Key::Number((load * 1e6) as u64),
            None => Key::Missing,
        },
        Column::Busy => duration(task.busy),
        Column::Scheduled => duration(task.scheduled),
        Column::Idle => duration(task.idle),
        Column::Polls => Key::Number(task.polls),
        Column::P99 => duration(p99(task.poll_times.as_ref(), task.longest)),
        Column::Longest => duration(model.longest(task)),
        Column::Age => Key::Number(u64::MAX - task.spawned_unix_ns),
        Column::Place => place(
            model
                .site(task.site)
                .and_then(|site| site.location.as_ref()),
        ),
        Column::Alive | Column::Spawned => Key::Missing,
    }
}

fn site_key(site: &Site, column: Column) -> Key<'_> {
    match column {
        Column::Id => Key::Number(u64::from(site.id.0)),
        Column::Name => text(&site.name),
        Column::Kind => text(site.kind.as_str()),
        Column::Busy => duration(site.busy),
        Column::Scheduled => duration(site.scheduled),
        Column::Polls => Key::Number(site.polls),
        Column::P99 => duration(p99(site.poll_times.as_ref(), site.longest)),
        Column::Longest => duration(site.longest),
        Column::Alive => Key::Number(site.alive),
        Column::Spawned => Key::Number(site.spawned),
        Column::Place => place(site.location.as_ref()),
        Column::State | Column::Load | Column::Idle | Column::Age => Key::Missing,
    }
}

fn text(text: &str) -> Key<'_> {
    if text.is_empty() {
        Key::Missing
    } else {
        Key::Text(text, 0)
    }
}

fn place(location: Option<&Location>) -> Key<'_> {
    location.map_or(Key::Missing, |at| Key::Text(&at.file, at.line))
}

fn duration(duration: Option<Duration>) -> Key<'static> {
    duration.map_or(Key::Missing, |it| {
        Key::Number(u64::try_from(it.as_nanos()).unwrap_or(u64::MAX))
    })
}

/// A filter's words.
#[derive(Clone, Debug, Default)]
pub struct Words {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Words {
    /// Splits a filter at white space; a leading `!` turns a word around.
    pub fn parse(filter: &str) -> Self {
        let mut words = Self::default();
        for word in filter.to_lowercase().split_whitespace() {
            match word.strip_prefix('!') {
                None => words.wanted.push(word.to_owned()),
                Some("") => {}
                Some(word) => words.unwanted.push(word.to_owned()),
            }
        }
        words
    }

    /// Whether the filter lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    /// Whether `text` passes.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.wanted.iter().all(|word| text.contains(word))
            && !self.unwanted.iter().any(|word| text.contains(word))
    }

    fn match_task(&self, task: &Task, site: Option<&Site>) -> bool {
        self.is_empty() || {
            let id = task.number();
            let (kind, state) = (task.kind.as_str(), task.state.as_str());
            let place = place_text(site.and_then(|site| site.location.as_ref()));
            self.matches(&format!("{} {kind} {state} {place} #{id}", task.name))
        }
    }

    fn match_site(&self, site: &Site) -> bool {
        self.is_empty() || {
            let place = place_text(site.location.as_ref());
            self.matches(&format!("{} {} {place}", site.name, site.kind))
        }
    }
}

fn place_text(location: Option<&Location>) -> String {
    location.map_or_else(String::new, |at| format!("{}:{}", at.file, at.line))
}
