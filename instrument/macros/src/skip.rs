//! Places in the source where a future may rightly be dropped unpolled.
//!
//! A `select!` drops the losers, and with `biased` it may drop them before their
//! first poll. Such macro calls are found by name, and the function they stand
//! in registers where they begin and end; a future made in between is then
//! nobody's mistake. Whether it was is judged at run time, by whoever was told.

use proc_macro2::{Delimiter, LineColumn, Span, TokenStream, TokenTree};
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Item, Macro};

use crate::facade::Facade;

/// Macros that may drop some of the futures they are given without polling them.
const SKIPPING: &[&str] = &[
    "race",
    "select",
    "select_biased",
    "try_join",
    "try_race",
    "try_select",
];

/// Statements that register the ranges in `block`. Nothing without feature
/// `enabled`.
pub(crate) fn registrations(block: &mut Block, facade: &Facade) -> TokenStream {
    if !cfg!(feature = "enabled") {
        return TokenStream::new();
    }
    let private = facade.private();
    ranges(block)
        .iter()
        .map(|range| range.registration(&private))
        .collect()
}

/// From the first character of a macro call to the one after its last. Lines and
/// columns count from 1, as in `core::panic::Location`.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    start: (u32, u32),
    end: (u32, u32),
}

impl Range {
    fn between(first: Span, last: Span) -> Self {
        Self {
            start: position(first.start()),
            end: position(last.end()),
        }
    }

    fn registration(&self, private: &TokenStream) -> TokenStream {
        let (start_line, start_column) = self.start;
        let (end_line, end_column) = self.end;
        quote! {{
            static RANGE: #private::SkipRange = #private::SkipRange::new(
                ::core::file!(),
                (#start_line, #start_column),
                (#end_line, #end_column),
            );
            #private::may_skip(&RANGE);
        }}
    }
}

fn ranges(block: &mut Block) -> Vec<Range> {
    let mut finder = Finder::default();
    finder.visit_block_mut(block);
    finder.found
}

fn position(at: LineColumn) -> (u32, u32) {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (count(at.line), count(at.column).saturating_add(1))
}

/// Walks a function's own code. Items inside it are functions of their own.
#[derive(Default)]
struct Finder {
    found: Vec<Range>,
}

impl VisitMut for Finder {
    fn visit_item_mut(&mut self, _: &mut Item) {}

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        let name = call.path.segments.last();
        if name.is_some_and(|name| is_skipping(&name.ident)) {
            let first = call.path.segments[0].ident.span();
            let last = call.delimiter.span().close();
            self.found.push(Range::between(first, last));
        } else {
            self.visit_tokens(call.tokens.clone());
        }
        visit_mut::visit_macro_mut(self, call);
    }
}

impl Finder {
    /// Looks for calls among the arguments of another macro, which only that
    /// macro can parse: `name ! ( .. )`.
    fn visit_tokens(&mut self, tokens: TokenStream) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = &trees[..];
        while let Some((tree, after)) = rest.split_first() {
            rest = after;
            if let Some(range) = call_at(tree, after) {
                self.found.push(range);
                rest = &after[2..];
            } else if let TokenTree::Group(group) = tree {
                self.visit_tokens(group.stream());
            }
        }
    }
}

fn call_at(tree: &TokenTree, after: &[TokenTree]) -> Option<Range> {
    match (tree, after) {
        (TokenTree::Ident(name), [TokenTree::Punct(bang), TokenTree::Group(group), ..])
            if is_skipping(name)
                && bang.as_char() == '!'
                && group.delimiter() != Delimiter::None =>
        {
            Some(Range::between(name.span(), group.span_close()))
        }
        _ => None,
    }
}

fn is_skipping(name: &syn::Ident) -> bool {
    SKIPPING.iter().any(|skipping| name == skipping)
}

#[cfg(test)]
mod tests {
    use super::{Range, ranges};

    fn found(source: &str) -> Vec<Range> {
        let mut block = syn::parse_str(source).expect("a block");
        ranges(&mut block)
    }

    #[test]
    fn a_call_spans_from_its_path_to_its_closing_brace() {
        let source = "{\n    tokio::select! {\n        _ = a() => {}\n    }\n}";
        let expected = Range {
            start: (2, 5),
            end: (4, 6),
        };
        assert_eq!(found(source), [expected]);
    }

    #[test]
    fn calls_inside_other_macros_are_found() {
        let source = "{ assert!(vec![try_join!(a(), b())].is_empty()); }";
        let expected = Range {
            start: (1, 16),
            end: (1, 35),
        };
        assert_eq!(found(source), [expected]);
    }

    #[test]
    fn items_inside_register_their_own() {
        assert_eq!(found("{ fn inner() { select!(a) } join!(a, b) }"), []);
    }

    #[test]
    fn columns_count_characters() {
        let expected = Range {
            start: (1, 10),
            end: (1, 19),
        };
        assert_eq!(
            found("{ f(\"ß\"); select!{} }"),
            [Range {
                start: (1, 11),
                end: (1, 20)
            }]
        );
        assert_eq!(found("{ f(\"\"); select!{} }"), [expected]);
    }
}
