//! The derive macro `Module` of Zerokara.
//!
//! It walks the fields of a struct in order and hands each to the visitor under its name, so that a layer in the
//! field `conv1` of the field `block1` is known as `block1.conv1`. Fields that are no modules are marked
//! `#[module(skip)]`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Index, parse_macro_input, parse_quote};

/// Derives `zerokara_nn::Module`: each field is a part under its name (in tuple structs, its number).
///
/// Fields marked `#[module(skip)]` are left out: sizes, switches and whatever else is no module.
#[proc_macro_derive(Module, attributes(module))]
pub fn module(input: TokenStream) -> TokenStream {
    derive(input, quote!(::zerokara_nn))
}

/// The same for users of the crate `zerokara`, who do not depend on `zerokara_nn` by name.
#[proc_macro_derive(FacadeModule, attributes(module))]
pub fn facade_module(input: TokenStream) -> TokenStream {
    derive(input, quote!(::zerokara::nn))
}

fn derive(input: TokenStream, home: Tokens) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input, &home)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput, home: &Tokens) -> Result<Tokens, Error> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "Module is derived for structs; write `impl Module` for anything else",
        ));
    };
    if let Some(attribute) = input.attrs.iter().find(|a| a.path().is_ident("module")) {
        return Err(Error::new_spanned(
            attribute,
            "#[module(skip)] stands on fields",
        ));
    }
    let mut visits = Vec::new();
    for (at, field) in data.fields.iter().enumerate() {
        let mut skip = false;
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("module")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    skip = true;
                    Ok(())
                } else {
                    Err(meta.error("the only option of a field is #[module(skip)]"))
                }
            })?;
        }
        if skip {
            continue;
        }
        visits.push(match (&data.fields, &field.ident) {
            (Fields::Named(_), Some(ident)) => {
                let name = ident.to_string();
                let name = name.trim_start_matches("r#");
                quote!(visitor.part(#name, &self.#ident);)
            }
            _ => {
                let (name, index) = (at.to_string(), Index::from(at));
                quote!(visitor.part(#name, &self.#index);)
            }
        });
    }
    let ident = &input.ident;
    // As the derives of the standard library do: what is generic must be a module too.
    let mut bounded = input.generics.clone();
    for parameter in bounded.type_params_mut() {
        parameter.bounds.push(parse_quote!(#home::Module));
    }
    let (generics, arguments, bounds) = bounded.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #home::Module for #ident #arguments #bounds {
            fn visit(&self, visitor: &mut #home::Visitor<'_>) {
                let _ = &visitor;
                #(#visits)*
            }
        }
    })
}
