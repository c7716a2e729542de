//! Reads the modules of a crate from its sources, and resolves paths in them.
//!
//! Does not: expand macros, or look into functions.

use std::collections::BTreeMap;

use syn::{Attribute, Item, UseTree, Visibility};

/// The result of resolving a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entity {
    /// A module, by its path below the crate, e.g. `["http", "io"]`.
    Module(Vec<String>),
    /// An item: the path of its module, and its index there.
    Item(Vec<String>, usize),
    /// An item of another crate, by its path.
    External(String),
}

/// One name that a `use` imports.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    pub(crate) is_public: bool,
}

#[derive(Default)]
pub(crate) struct Module {
    /// All items except modules, imports, and items for tests only.
    pub(crate) items: Vec<Item>,
    pub(crate) imports: Vec<Import>,
    /// The child modules: name, and whether the module is public.
    pub(crate) modules: Vec<(String, bool)>,
}

#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
}

/// The maximum number of imports to follow for one name: a longer chain is a cycle.
const LONGEST_WAY: usize = 16;

impl Tree {
    /// Reads a crate. `source` gets a path relative to the folder of `lib.rs`, and returns the text of this file, or
    /// `None` if there is none. Panics at code whose items it cannot list.
    pub(crate) fn read(source: &impl Fn(&str) -> Option<String>) -> Self {
        let mut tree = Self::default();
        let items = parse("lib.rs", &source("lib.rs").expect("lib.rs"));
        tree.add(Vec::new(), "", items, source);
        tree
    }

    /// Adds a module whose child modules are files in `folder`.
    fn add(
        &mut self,
        path: Vec<String>,
        folder: &str,
        items: Vec<Item>,
        source: &impl Fn(&str) -> Option<String>,
    ) {
        let mut module = Module::default();
        for item in items.into_iter().filter(|item| is_shipped(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let inner = format!("{folder}{name}/");
                    let items = match child.content {
                        Some((_, items)) => items,
                        None => [format!("{folder}{name}.rs"), format!("{inner}mod.rs")]
                            .iter()
                            .find_map(|file| source(file).map(|text| parse(file, &text)))
                            .unwrap_or_else(|| panic!("{folder}: the file of `mod {name}`")),
                    };
                    module.modules.push((name.clone(), is_public(&child.vis)));
                    self.add([path.clone(), vec![name]].concat(), &inner, items, source);
                }
                Item::Use(import) => {
                    let is_public = is_public(&import.vis);
                    let mut names = Vec::new();
                    flatten(&import.tree, &[], &mut names);
                    let import = |(name, path)| Import { name, path, is_public };
                    module.imports.extend(names.into_iter().map(import));
                }
                Item::Macro(item) => {
                    let is_exported = item.attrs.iter().any(|a| a.path().is_ident("macro_export"));
                    let is_private = match &item.ident {
                        Some(_) => !is_exported,
                        None => {
                            item.mac.path.is_ident("thread_local")
                                && !item.mac.tokens.to_string().contains("pub ")
                        }
                    };
                    assert!(is_private, "{path:?}: a macro that may add to the public API");
                }
                item => module.items.push(item),
            }
        }
        self.modules.insert(path, module);
    }

    /// Resolves a path in a module. The result may have several entities, since a function and a type may have the same
    /// name.
    pub(crate) fn resolve(&self, module: &[String], path: &[String]) -> Vec<Entity> {
        self.resolve_within(module, path, LONGEST_WAY)
    }

    fn resolve_within(&self, module: &[String], path: &[String], left: usize) -> Vec<Entity> {
        let mut at = module.to_vec();
        let mut names = path;
        while let [first, rest @ ..] = names {
            match first.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ => break,
            }
            names = rest;
        }
        let mut found = vec![Entity::Module(at)];
        for (place, name) in names.iter().enumerate() {
            let is_last = place + 1 == names.len();
            let mut next = Vec::new();
            for entity in &found {
                match entity {
                    Entity::Module(within) => {
                        next.extend(self.look_up(within, name, is_last, left))
                    }
                    // A variant, or an item of a trait.
                    Entity::Item(..) => {}
                    Entity::External(path) => {
                        next.push(Entity::External(format!("{path}::{name}")))
                    }
                }
            }
            // The name is not in the module, so it is that of a crate or of the prelude.
            if next.is_empty() && place == 0 {
                next.push(Entity::External(name.clone()));
            }
            found = next;
        }
        found.sort();
        found.dedup();
        found
    }

    fn look_up(&self, within: &[String], name: &str, is_last: bool, left: usize) -> Vec<Entity> {
        let Some(module) = self.modules.get(within) else { return Vec::new() };
        let mut found = Vec::new();
        if module.modules.iter().any(|(child, _)| child == name) {
            found.push(Entity::Module([within, &[name.to_owned()]].concat()));
        }
        for (number, item) in module.items.iter().enumerate() {
            if named(item).is_some_and(|(own, _)| own == name) {
                found.push(Entity::Item(within.to_vec(), number));
            }
        }
        // At the start of a path, a child module takes precedence over a crate or an import of the same name.
        if left > 0 && (is_last || found.is_empty()) {
            for import in module.imports.iter().filter(|import| import.name == name) {
                found.extend(self.resolve_import(within, import, left - 1));
            }
        }
        found
    }

    fn resolve_import(&self, within: &[String], import: &Import, left: usize) -> Vec<Entity> {
        if let [one] = import.path.as_slice()
            && *one == import.name
        {
            // `use serde;` imports a crate under its own name: resolving it again would not end.
            return vec![Entity::External(one.clone())];
        }
        self.resolve_within(within, &import.path, left)
    }
}

fn parse(file: &str, text: &str) -> Vec<Item> {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}")).items
}

/// Appends each name of a `use` with its path.
fn flatten(tree: &UseTree, before: &[String], names: &mut Vec<(String, Vec<String>)>) {
    let path = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(inner) => flatten(&inner.tree, &path(inner.ident.to_string()), names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, names)),
        UseTree::Name(name) if name.ident == "self" => {
            names.push((before.last().expect("a module").clone(), before.to_vec()));
        }
        UseTree::Name(name) => names.push((name.ident.to_string(), path(name.ident.to_string()))),
        UseTree::Rename(name) => {
            names.push((name.rename.to_string(), path(name.ident.to_string())));
        }
        UseTree::Glob(_) => panic!("{before:?}: the list cannot follow a `*`"),
    }
}

pub(crate) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether an item with these attributes exists outside of tests.
pub(crate) fn is_shipped(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).all(|attribute| {
        let is_test = attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test");
        assert!(is_test, "an unknown `cfg` condition; only `test` is known");
        false
    })
}

/// The name and the visibility of an item, if it has both.
pub(crate) fn named(item: &Item) -> Option<(String, &Visibility)> {
    let (name, visibility) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        Item::Union(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((name.to_string(), visibility))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => panic!("an unknown kind of item; add it to the list"),
    }
}
