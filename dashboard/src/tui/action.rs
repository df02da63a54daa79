//! What a user can ask for, and which key asks for it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::model::rows::Column;

/// A tab of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Tasks,
    Findings,
    Workers,
    Output,
}

/// A list that can be moved in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Tasks,
    Findings,
    Workers,
    Output,
    Detail,
    Help,
    Apps,
}

/// Something a user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Back,
    Help,
    Apps,
    Pause,
    /// The next longer or shorter limit of a poll.
    LongerLimit,
    ShorterLimit,
    /// Look for slow polls, or look away.
    ToggleLooking,
    Show(Tab),
    NextTab,
    NextPane,
    Move(Motion),
    Open,
    OwnTasks,
    Filter,
    Type(char),
    Erase,
    EraseWord,
    ClearFilter,
    Accept,
    NextColumn,
    PreviousColumn,
    SortBy(Column),
    Reverse,
    Group,
    /// The mouse was pressed on a row of a list.
    Click(Pane, usize),
    /// The wheel was turned over a list.
    Wheel(Pane, isize),
}

/// A way to move in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Lines(isize),
    Pages(isize),
    Top,
    Bottom,
}

/// The action a key stands for; while text is typed, letters are text.
pub(super) fn of_key(key: KeyEvent, typing: bool) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => Some(Action::Quit),
        _ if typing => of_typing(key.code, control),
        KeyCode::Char(c) if control => of_control(c),
        KeyCode::Char(c) => of_letter(c),
        code => of_special(code),
    }
}

fn of_typing(code: KeyCode, control: bool) -> Option<Action> {
    Some(match code {
        KeyCode::Char('u') if control => Action::ClearFilter,
        KeyCode::Char('w' | 'h') if control => Action::EraseWord,
        KeyCode::Char(c) if !control => Action::Type(c),
        KeyCode::Backspace => Action::Erase,
        KeyCode::Enter => Action::Accept,
        KeyCode::Esc => Action::Back,
        KeyCode::Up => Action::Move(Motion::Lines(-1)),
        KeyCode::Down => Action::Move(Motion::Lines(1)),
        _ => return None,
    })
}

fn of_control(c: char) -> Option<Action> {
    Some(match c {
        'd' => Action::Move(Motion::Pages(1)),
        'u' => Action::Move(Motion::Pages(-1)),
        'f' => Action::Move(Motion::Pages(1)),
        'b' => Action::Move(Motion::Pages(-1)),
        _ => return None,
    })
}

fn of_letter(c: char) -> Option<Action> {
    Some(match c {
        'q' => Action::Quit,
        '?' => Action::Help,
        '1' => Action::Show(Tab::Tasks),
        '2' => Action::Show(Tab::Findings),
        '3' => Action::Show(Tab::Workers),
        '4' => Action::Show(Tab::Output),
        '/' => Action::Filter,
        's' => Action::NextColumn,
        'S' => Action::PreviousColumn,
        'r' => Action::Reverse,
        'g' => Action::Group,
        't' => Action::OwnTasks,
        'a' => Action::Apps,
        'p' | ' ' => Action::Pause,
        '+' => Action::LongerLimit,
        '-' => Action::ShorterLimit,
        'x' => Action::ToggleLooking,
        'j' => Action::Move(Motion::Lines(1)),
        'k' => Action::Move(Motion::Lines(-1)),
        'G' => Action::Move(Motion::Bottom),
        _ => return None,
    })
}

fn of_special(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Esc | KeyCode::Backspace => Action::Back,
        KeyCode::Enter => Action::Open,
        KeyCode::Tab => Action::NextPane,
        KeyCode::BackTab => Action::NextTab,
        KeyCode::Up => Action::Move(Motion::Lines(-1)),
        KeyCode::Down => Action::Move(Motion::Lines(1)),
        KeyCode::PageUp => Action::Move(Motion::Pages(-1)),
        KeyCode::PageDown => Action::Move(Motion::Pages(1)),
        KeyCode::Home => Action::Move(Motion::Top),
        KeyCode::End => Action::Move(Motion::Bottom),
        KeyCode::Left => Action::PreviousColumn,
        KeyCode::Right => Action::NextColumn,
        KeyCode::F(1) => Action::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn letters_are_text_while_typing() {
        let q = key(KeyCode::Char('q'), KeyModifiers::NONE);
        assert_eq!(of_key(q, false), Some(Action::Quit));
        assert_eq!(of_key(q, true), Some(Action::Type('q')));
    }

    #[test]
    fn control_c_always_quits() {
        let control_c = key(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(of_key(control_c, true), Some(Action::Quit));
        assert_eq!(of_key(control_c, false), Some(Action::Quit));
    }

    #[test]
    fn releases_are_not_presses() {
        let mut q = key(KeyCode::Char('q'), KeyModifiers::NONE);
        q.kind = KeyEventKind::Release;
        assert_eq!(of_key(q, false), None);
    }
}
