//! Which program to watch: the one given, the one found, or the one chosen.

use std::time::Duration;

use tokio::{sync::watch, task::JoinSet, time};

use crate::{
    client::{self, Change, Message, Messages, Target},
    discover::{self, App, Found},
    model::{Connection, Trouble},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Something happened on the way to the program.
#[derive(Debug)]
pub(super) enum Event {
    /// The client tells something.
    Message(Message),
    /// Another program is watched from now on.
    Switched(Connection),
    /// There are several programs to choose from.
    Choose(Found),
    /// Programs cannot be found, for this reason.
    Warning(String),
}

/// The way to the program that is watched.
pub(super) struct Link {
    /// Where the address comes from; none when no more will come.
    given: Option<watch::Receiver<Option<Target>>>,
    /// Nobody gives an address: look for programs.
    searches: bool,
    target: Option<Target>,
    messages: Option<Messages>,
    /// What is seen from outside of a program that was started, until it tells where it
    /// can be connected to.
    outside: Option<Messages>,
    looks: time::Interval,
    /// Changes that the program is being told of.
    changes: JoinSet<Result<(), String>>,
    live: bool,
    /// There was a connection to `target`.
    was_live: bool,
    warned: bool,
}

impl Link {
    /// Follows the addresses that come out of `given`. Looks for programs itself
    /// if it holds none, nobody is left to send one, and no program was started, of
    /// which something is seen from `outside`.
    pub(super) fn new(given: watch::Receiver<Option<Target>>, outside: Option<Messages>) -> Self {
        let nobody_sends = given.has_changed().is_err();
        let searches = outside.is_none() && nobody_sends && given.borrow().is_none();
        let mut looks = time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut link = Self {
            given: None,
            searches,
            target: None,
            messages: None,
            outside,
            looks,
            changes: JoinSet::new(),
            live: false,
            was_live: false,
            warned: false,
        };
        let first = given.borrow().clone();
        if let Some(target) = first.or_else(|| searches.then(Target::default)) {
            link.connect(target);
        }
        link.given = (!nobody_sends).then_some(given);
        link
    }

    /// The state before anything happened.
    pub(super) fn connection(&self) -> Connection {
        match &self.target {
            None => Connection::Starting,
            Some(target) if self.searches => Connection::Waiting {
                addr: target.to_string(),
            },
            Some(target) => Connection::Connecting {
                addr: target.to_string(),
            },
        }
    }

    /// Watches another program.
    pub(super) fn switch(&mut self, target: Target) -> Event {
        self.searches = false;
        self.connect(target);
        Event::Switched(self.connection())
    }

    /// Has the program watched in another way; what comes of it is an event, as it is if
    /// nobody can be asked.
    pub(super) fn configure(&mut self, change: Change) -> Option<Event> {
        let Some(target) = self.target.clone() else {
            return Some(Event::Warning(
                "nothing to change from here: a program that is watched from outside has the limit of `--max-poll`".to_owned(),
            ));
        };
        self.changes
            .spawn(async move { client::configure(&target, change).await });
        None
    }

    /// Waits for what happens next. Nothing is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                biased;
                target = given(&mut self.given) => match target {
                    Some(target) => return self.switch(target),
                    None => self.given = None,
                },
                _ = self.looks.tick(), if self.searches && !self.live => {
                    if let Some(event) = self.look() {
                        return event;
                    }
                }
                Some(change) = self.changes.join_next() => {
                    if let Ok(Err(why)) = change {
                        return Event::Warning(why);
                    }
                }
                Some(message) = received(&mut self.messages) => {
                    return Event::Message(self.seen(message));
                }
                Some(message) = received(&mut self.outside) => return Event::Message(message),
            }
        }
    }

    fn connect(&mut self, target: Target) {
        self.live = false;
        self.was_live = false;
        self.messages = Some(client::watch(target.clone()));
        self.outside = None;
        self.target = Some(target);
    }

    /// While programs are looked for, nobody at the default address is no trouble.
    fn seen(&mut self, message: Message) -> Message {
        let Message::Connection(connection) = message else {
            return message;
        };
        self.live = connection.is_live();
        self.was_live |= self.live;
        Message::Connection(match connection {
            Connection::Connecting { addr } if self.searches => Connection::Waiting { addr },
            Connection::Lost { addr, trouble, .. }
                if self.searches && trouble == Trouble::Refused =>
            {
                Connection::Waiting { addr }
            }
            connection => connection,
        })
    }

    fn look(&mut self) -> Option<Event> {
        let found = discover::look_around();
        let is_known = |app: &App| self.target.as_ref() == Some(&app.target);
        match found.apps.as_slice() {
            // It comes back by itself.
            apps if self.was_live && apps.iter().any(is_known) => None,
            [] => self.warn(found.warning),
            [app] if is_known(app) => None,
            [app] => {
                self.connect(app.target.clone());
                Some(Event::Switched(self.connection()))
            }
            _ => {
                self.searches = false;
                Some(Event::Choose(found))
            }
        }
    }

    fn warn(&mut self, warning: Option<String>) -> Option<Event> {
        let warning = warning.filter(|_| !self.warned)?;
        self.warned = true;
        Some(Event::Warning(warning))
    }
}

async fn given(receiver: &mut Option<watch::Receiver<Option<Target>>>) -> Option<Target> {
    let Some(receiver) = receiver else {
        return std::future::pending().await;
    };
    loop {
        receiver.changed().await.ok()?;
        let target = receiver.borrow_and_update().clone();
        if target.is_some() {
            return target;
        }
    }
}

async fn received(messages: &mut Option<Messages>) -> Option<Message> {
    match messages {
        Some(messages) => messages.recv().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    async fn next(link: &mut Link) -> Event {
        let patience = Duration::from_secs(60);
        time::timeout(patience, link.next()).await.expect("in time")
    }

    fn target(port: u16) -> Target {
        format!("127.0.0.1:{port}").parse().expect("an address")
    }

    #[tokio::test]
    async fn follows_the_addresses_it_is_given() {
        let (sender, receiver) = watch::channel(None);
        let (outside, seen) = mpsc::channel(1);
        let mut link = Link::new(receiver, Some(seen));
        assert_eq!(link.connection(), Connection::Starting);
        let connected = Message::Connection(Connection::Outside);
        outside.send(connected).await.expect("somebody listens");
        let Event::Message(Message::Connection(Connection::Outside)) = next(&mut link).await else {
            panic!("what is seen from outside is told");
        };
        for port in [1, 2] {
            sender.send_replace(Some(target(port)));
            loop {
                if let Event::Switched(connection) = next(&mut link).await {
                    assert_eq!(connection.addr(), Some(target(port).to_string().as_str()));
                    break;
                }
            }
        }
        assert!(outside.is_closed(), "the program knows better");
    }

    #[tokio::test]
    async fn a_given_address_that_refuses_is_trouble() {
        let (_sender, receiver) = watch::channel(Some(target(1)));
        let mut link = Link::new(receiver, None);
        assert!(!link.searches);
        loop {
            if let Event::Message(Message::Connection(Connection::Lost { trouble, .. })) =
                next(&mut link).await
            {
                assert_eq!(trouble, Trouble::Refused);
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_started_program_that_ends_is_not_replaced_by_another() {
        let receiver = watch::channel(None).1;
        let mut link = Link::new(receiver, Some(mpsc::channel(1).1));
        assert!(!link.searches);
        let nothing = time::timeout(Duration::from_millis(50), link.next()).await;
        assert!(nothing.is_err());
    }

    #[tokio::test]
    async fn nobody_at_the_default_address_is_waited_for() {
        let receiver = watch::channel(None).1;
        let mut link = Link::new(receiver, None);
        assert!(link.searches);
        let addr = Target::default().to_string();
        assert_eq!(
            link.connection(),
            Connection::Waiting { addr: addr.clone() }
        );
        let at = std::time::Instant::now();
        let refused = Message::Connection(Connection::Lost {
            addr: addr.clone(),
            since: at,
            retry_at: at,
            trouble: Trouble::Refused,
        });
        let Message::Connection(seen) = link.seen(refused) else {
            panic!("it stays what it is");
        };
        assert_eq!(seen, Connection::Waiting { addr });
    }
}
