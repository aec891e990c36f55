//! HTML that can't be broken by what it shows: text gets into an [`Html`] only escaped.

/// A piece of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Markup that is part of this program.
    pub(super) fn trusted(markup: &'static str) -> Self {
        Self(markup.to_owned())
    }

    /// Text from anywhere.
    pub(super) fn text(text: &str) -> Self {
        Self(escaped(text))
    }

    /// An element with attributes. The attributes' values are escaped.
    pub(super) fn with(
        tag: &'static str,
        attributes: &[(&'static str, &str)],
        content: impl Into<Self>,
    ) -> Self {
        let mut html = format!("<{tag}");
        for (name, value) in attributes {
            html.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        html.push('>');
        html.push_str(&content.into().0);
        html.push_str(&format!("</{tag}>"));
        Self(html)
    }

    /// An element without attributes.
    pub(super) fn element(tag: &'static str, content: impl Into<Self>) -> Self {
        Self::with(tag, &[], content)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The markup.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl From<&str> for Html {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<&String> for Html {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

impl From<String> for Html {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl<const N: usize> From<[Html; N]> for Html {
    fn from(pieces: [Html; N]) -> Self {
        pieces.into_iter().collect()
    }
}

impl FromIterator<Html> for Html {
    fn from_iter<I: IntoIterator<Item = Html>>(pieces: I) -> Self {
        Self(pieces.into_iter().map(|piece| piece.0).collect())
    }
}

/// Escapes what has a meaning in HTML, in text and in quoted attributes, and replaces control
/// characters, which no document may hold.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            '\n' | '\t' => result.push(c),
            // Marks that turn the direction of writing could make a name pass for another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => result.push('\u{fffd}'),
            c if c.is_control() => result.push('\u{fffd}'),
            c => result.push(c),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let html = Html::with("p", &[("title", "\"><script>")], "<b> & 'c'\0\u{202e}");
        assert_eq!(
            html.into_string(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;b&gt; &amp; &#39;c&#39;\u{fffd}\u{fffd}</p>"
        );
    }

    #[test]
    fn pieces_are_joined_and_not_escaped_again() {
        let html = Html::element(
            "ul",
            [Html::element("li", "a & b"), Html::element("li", "c")],
        );
        assert_eq!(html.into_string(), "<ul><li>a &amp; b</li><li>c</li></ul>");
    }
}
