//! From addresses to frames.

use asyncwatch_findings::Frame;
use asyncwatch_stack::{Address, Modules, RawStack, Symbol, Symboliser};

/// Frames kept of one stack, the inlined ones included.
const FRAMES_MAX: usize = 200;

/// Symbolises with a cache.
pub(crate) struct Symbols {
    symboliser: Symboliser,
    modules: Modules,
}

impl Symbols {
    pub(crate) fn new() -> Symbols {
        Symbols {
            symboliser: Symboliser::new(),
            modules: Modules::current(),
        }
    }

    /// The frames of a stack, innermost first, inlined functions as frames of their own.
    pub(crate) fn resolve(&mut self, stack: &RawStack) -> Vec<Frame> {
        let mut frames = Vec::new();
        for &address in &stack.addresses {
            let symbols = self.symboliser.resolve(address);
            let inlined = symbols.len().saturating_sub(1);
            let named = |(at, symbol): (usize, &Symbol)| named(symbol, at < inlined);
            frames.extend(symbols.iter().enumerate().map(named));
            if frames.len() >= FRAMES_MAX {
                break;
            }
        }
        asyncwatch_findings::mark(&mut frames);
        frames
    }

    /// The frames without names, at once: object file and offset only.
    pub(super) fn locate(&mut self, stack: &RawStack) -> Vec<Frame> {
        self.modules.refresh();
        stack
            .addresses
            .iter()
            .take(FRAMES_MAX)
            .map(|&address| self.located(address))
            .collect()
    }

    fn located(&self, address: Address) -> Frame {
        let (module, offset) = match self.modules.locate(address.lookup()) {
            Some((path, offset)) => (Some(path.display().to_string()), Some(offset)),
            None => (None, Some(address.raw())),
        };
        Frame {
            module,
            offset,
            ..Frame::default()
        }
    }
}

fn named(symbol: &Symbol, inlined: bool) -> Frame {
    Frame {
        inlined,
        function: symbol.function.clone(),
        file: symbol.file.as_ref().map(|file| file.display().to_string()),
        line: symbol.line,
        ..Frame::default()
    }
}
