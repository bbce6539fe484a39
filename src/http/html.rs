//! How all templates are read, whoever's page they make. What they print is escaped as HTML, a value
//! that they name and the data lacks is a defect, and a line that is only a tag leaves none behind.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, syntax::SyntaxConfig};

/// An engine without templates.
pub(super) fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    #[expect(clippy::expect_used, reason = "the usual delimiters")]
    engine.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("a syntax"));
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine
}
