//! Values that are written as lower-case hexadecimal digits: hashes, keys and signatures.

/// Gives a type that is a number of bytes the one text that it has: [`std::fmt::Display`],
/// [`std::str::FromStr`], and the conversions from and to `String` by which it is serialised.
/// `$invalid` makes the error of a text that isn't one.
macro_rules! hexadecimal {
    ($type:ident, $error:ty, $invalid:expr) => {
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&::hex::encode(self.0))
            }
        }
        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
        impl ::std::str::FromStr for $type {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                $crate::hexadecimal::lower_case_hex(text)
                    .map(Self)
                    .ok_or_else(|| $invalid(text.into()))
            }
        }
        impl TryFrom<String> for $type {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}
pub(crate) use hexadecimal;

/// Exactly `N` bytes in lower-case hexadecimal digits: one text for each value, so that no
/// digit of a signed or hashed document can be changed unnoticed.
pub(crate) fn lower_case_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    let upper_case = text.bytes().any(|byte| byte.is_ascii_uppercase());
    (!upper_case).then_some(bytes)
}
