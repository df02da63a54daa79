//! Where generated code finds the asyncwatch crate.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Path;

/// The path of the asyncwatch crate as seen from the user's code.
#[derive(Clone, Default)]
pub(crate) struct Facade {
    renamed: Option<Path>,
}

impl Facade {
    /// The facade under the path that the user gave.
    pub(crate) fn renamed(path: Path) -> Self {
        Self {
            renamed: Some(path),
        }
    }

    /// The path that the user gave, if it is not the usual one.
    pub(crate) fn given(&self) -> Option<String> {
        let path = self.renamed.as_ref()?;
        Some(path.to_token_stream().to_string())
    }

    /// The module of the facade that exists for generated code.
    pub(crate) fn private(&self) -> TokenStream {
        quote!(#self::__private)
    }

    /// The same, located at `span` for the compiler and for `#[track_caller]`.
    pub(crate) fn private_at(&self, span: Span) -> TokenStream {
        let tokens = self.private().into_iter();
        let at = |mut tree: TokenTree| {
            tree.set_span(span);
            tree
        };
        tokens.map(at).collect()
    }
}

impl ToTokens for Facade {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.renamed {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(quote!(::asyncwatch)),
        }
    }
}
