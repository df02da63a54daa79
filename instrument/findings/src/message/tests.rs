use super::*;

#[test]
fn durations_read_as_people_say_them() {
    for (ns, expected) in [
        (0, "0 ns"),
        (999, "999 ns"),
        (38_000, "38 µs"),
        (1_500, "1.5 µs"),
        (511_900_000, "512 ms"),
        (99_960_000, "100 ms"),
        (9_996_000, "10 ms"),
        (1_000_000_000, "1 s"),
        (1_240_000_000, "1.24 s"),
        (59_900_000_000, "59.9 s"),
        (120_000_000_000, "2 min"),
        (125_000_000_000, "2 min 5 s"),
        (3_600_000_000_000, "1 h"),
        (5_400_000_000_000, "1 h 30 min"),
    ] {
        assert_eq!(humanise(Duration::from_nanos(ns)), expected);
    }
}

fn task(name: &str, kind: &str) -> TaskRef {
    TaskRef {
        id: 7,
        name: name.to_owned(),
        kind: kind.to_owned(),
        spawned_at: None,
    }
}

#[test]
fn tasks_are_called_by_their_names() {
    for (name, kind, expected) in [
        ("session", "task", "task `session`"),
        ("session of user 12", "task", "task `session of user 12`"),
        ("db::pool", "task", "task `db::pool`"),
        (
            "app::session::load<i32>::{{closure}}",
            "task",
            "task `app::session::load`",
        ),
        ("", "task", "task 7"),
        ("", "local", "local task 7"),
        ("", "block_on", "the root future"),
        (
            "app::main::{{closure}}",
            "block_on",
            "root future `app::main`",
        ),
        ("app::work::{{closure}}", "future", "future `app::work`"),
    ] {
        assert_eq!(task_name(Some(&task(name, kind))), expected);
    }
    assert_eq!(task_name(None), "a task");
}

fn poll(class: Class, ongoing: bool) -> String {
    let task = task("session", "task");
    slow_poll(&SlowPoll {
        task: Some(&task),
        worker: Some("worker 1"),
        wall: Duration::from_millis(512),
        limit: Duration::from_millis(100),
        ongoing,
        class: Some(class),
    })
}

#[test]
fn slow_polls_are_told_by_state_and_class() {
    assert_eq!(
        poll(Class::Blocked, false),
        "task `session` held worker 1 for 512 ms (limit 100 ms)"
    );
    assert_eq!(
        poll(Class::Cpu, true),
        "task `session` has held worker 1 for 512 ms and still does (limit 100 ms)"
    );
    assert_eq!(
        poll(Class::Descheduled, false),
        "task `session` took 512 ms for one poll on worker 1, mostly waiting for a CPU (limit 100 ms)"
    );
    assert_eq!(
        poll(Class::Descheduled, true),
        "task `session` has been in one poll on worker 1 for 512 ms, mostly waiting for a CPU (limit 100 ms)"
    );
}

#[test]
fn a_poll_tells_whom_it_kept_waiting() {
    let finding = |tasks, waited, ongoing| Finding {
        queued_behind: Some(tasks),
        waited_behind: waited,
        ongoing,
        ..Finding::new(Code::SlowPoll, crate::Level::Warn, "", 0)
    };
    let cause = |tasks, waited, ongoing| cause(&finding(tasks, waited, ongoing));
    let waited = Some(Duration::from_millis(4_100));
    assert_eq!(
        cause(37, waited, false).as_deref(),
        Some("37 tasks waited behind it, 4.1 s in all")
    );
    assert_eq!(
        cause(1, waited, true).as_deref(),
        Some("1 task waits behind it, for 4.1 s")
    );
    assert_eq!(
        cause(2, None, true).as_deref(),
        Some("2 tasks wait behind it")
    );
    assert_eq!(cause(0, None, false), None);
}

#[test]
fn a_task_that_never_yields_is_told_while_it_runs_and_after() {
    let task = task("session", "task");
    let wall = Duration::from_millis(1_200);
    assert_eq!(
        never_yielded(Some(&task), wall, true),
        "task `session` has not yielded once in the 1.2 s since its first poll began: until it does, it cannot be cancelled or timed out"
    );
    assert_eq!(
        never_yielded(Some(&task), wall, false),
        "task `session` did not yield once in the 1.2 s of its first poll: for so long it could not be cancelled or timed out"
    );
}

#[test]
fn unknown_parts_have_words_too() {
    let message = slow_poll(&SlowPoll {
        task: None,
        worker: None,
        wall: Duration::from_secs(1),
        limit: Duration::from_millis(100),
        ongoing: false,
        class: None,
    });
    assert_eq!(message, "a task held its thread for 1 s (limit 100 ms)");
}

#[test]
fn never_awaited_futures_are_named() {
    assert_eq!(
        never_awaited("app::mail::send::{{closure}}"),
        "the future of `app::mail::send` was dropped without ever being awaited: its code never ran"
    );
    assert_eq!(
        never_awaited("{async_block#0}"),
        "a future made by an async block was dropped without ever being awaited: its code never ran"
    );
    assert_eq!(
        never_awaited(""),
        "a future was dropped without ever being awaited: its code never ran"
    );
}

#[test]
fn frames_without_symbols_are_module_and_offset() {
    let frame = Frame {
        module: Some("/opt/app/bin/app".to_owned()),
        offset: Some(0x1f40),
        ..Frame::default()
    };
    assert_eq!(frame_label(&frame), "app+0x1f40");
    assert_eq!(frame_label(&Frame::default()), "unknown function");
}

#[test]
fn a_holder_is_told_with_what_it_does() {
    let stack = |text: &str| crate::frames::tests::parse(text);
    assert_eq!(
        lock_holder(
            "thread `compactor`",
            &stack(
                "app::burn | /home/me/app/src/lib.rs:90\napp::compact | /home/me/app/src/index.rs:22\nstart_thread |"
            )
        ),
        "the lock seems to be held by thread `compactor`, in `app::compact` at src/index.rs:22, \
         which called `app::burn` at src/lib.rs:90"
    );
    assert_eq!(
        lock_holder(
            "worker 1",
            &stack("std::thread::sleep |\napp::compact | /home/me/app/src/index.rs:22")
        ),
        "the lock seems to be held by worker 1, in `app::compact` at src/index.rs:22, \
         which called `std::thread::sleep`"
    );
    assert_eq!(
        lock_holder("thread 77", &[]),
        "the lock seems to be held by thread 77"
    );
}

#[test]
fn a_queue_for_a_lock_is_told_by_its_length_and_its_longest_wait() {
    let wait = Duration::from_millis(612);
    assert_eq!(
        async_contention("Mutex", 5, wait, false),
        "5 tasks queued, the longest for 612 ms, for a `Mutex` that another task held while it awaited something"
    );
    assert_eq!(
        async_contention("RwLock", 1, wait, true),
        "a task has waited 612 ms for a `RwLock` that another task holds while it awaits something"
    );
}

#[test]
fn a_burst_is_told_by_its_ticks() {
    let (within, stall) = (Duration::from_micros(120), Duration::from_secs(1));
    assert_eq!(
        timer_burst(20, within, stall),
        "an interval ticked 20 times within 120 µs to make up for 1 s without a tick"
    );
}

#[test]
fn page_faults_are_told_where_they_took_the_time() {
    let cpu = Duration::from_millis(100);
    assert_eq!(page_faults(900, 3, cpu), None);
    assert_eq!(page_faults(20_000, 0, cpu), None);
    let disk = page_faults(2_000, 1_204, cpu).expect("many");
    assert!(disk.starts_with("took 1,204 major page faults"), "{disk}");
    let fresh = page_faults(80_000, 3, cpu).expect("many");
    assert!(fresh.starts_with("took 80,000 page faults on memory that was new"));
    assert_eq!(page_faults(200, 0, Duration::from_micros(50)), None);
}
