//! The host functions of `js/crypto*.js`: thin, all thought is in [`crate::web::crypto`].
//!
//! They take strings, numbers, and buffers or views, and return buffers, booleans and strings. A
//! refusal is thrown as an `Error` whose `name` is that of the `DOMException` that the script's side
//! makes of it.

use deno_core::v8;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::web::crypto::containers::{self, Family};
use crate::web::crypto::ec::Curve;
use crate::web::crypto::hash::{self, Hash};
use crate::web::crypto::rsa::{Numbers, Padding};
use crate::web::crypto::{CryptoError, Result, aes, curve25519, ec, gcm, kdf, random, rsa};
use crate::web::op::{Op, array_buffer, bytes_of, uint8_array, write_into};

/// The arguments of a call, by position. What has the wrong type is an error: only the runtime's own
/// scripts call these functions.
struct Given<'a, 's, 'i>(
    &'a mut v8::PinScope<'s, 'i>,
    &'a v8::FunctionCallbackArguments<'s>,
);

const WRONG_CALL: CryptoError = CryptoError::Operation("The operation was called with wrong types");

impl Given<'_, '_, '_> {
    fn bytes(&self, index: i32) -> Result<Vec<u8>> {
        bytes_of(self.1.get(index)).ok_or(WRONG_CALL)
    }

    fn text(&self, index: i32) -> String {
        self.1.get(index).to_rust_string_lossy(self.0)
    }

    fn number(&self, index: i32) -> Result<u32> {
        self.1.get(index).uint32_value(self.0).ok_or(WRONG_CALL)
    }

    fn size(&self, index: i32) -> Result<usize> {
        usize::try_from(self.number(index)?).map_err(|_| WRONG_CALL)
    }

    fn hash(&self, index: i32) -> Result<Hash> {
        Hash::from_name(&self.text(index))
    }

    fn curve(&self, index: i32) -> Result<Curve> {
        Curve::from_name(&self.text(index))
    }

    fn family(&self, index: i32) -> Result<Family> {
        Family::from_name(&self.text(index))
    }

    /// A salt's length, or undefined for the scheme that has none.
    fn padding(&self, index: i32) -> Result<Padding> {
        if self.1.get(index).is_undefined() {
            Ok(Padding::Pkcs1v15)
        } else {
            Ok(Padding::Pss {
                salt_bytes: self.size(index)?,
            })
        }
    }
}

/// What a call returns.
enum Answer {
    /// A new `ArrayBuffer`.
    Buffer(Vec<u8>),
    /// A new `Uint8Array`: key material, and parts of keys.
    Array(Vec<u8>),
    Bool(bool),
    Text(String),
    /// An array of strings.
    Texts([String; 2]),
    /// An array of the modulus' length in bits and of `Uint8Array`s.
    Numbers(Numbers),
    Nothing,
}

fn answer(
    scope: &mut v8::PinScope<'_, '_>,
    returned: &mut v8::ReturnValue<'_>,
    answer: Result<Answer>,
) {
    match answer {
        Ok(Answer::Buffer(bytes)) => {
            if let Some(buffer) = array_buffer(scope, &bytes) {
                returned.set(buffer.into());
            }
        }
        Ok(Answer::Array(bytes)) => {
            if let Some(array) = uint8_array(scope, &bytes) {
                returned.set(array.into());
            }
        }
        Ok(Answer::Bool(value)) => returned.set_bool(value),
        Ok(Answer::Text(text)) => {
            if let Some(text) = v8::String::new(scope, &text) {
                returned.set(text.into());
            }
        }
        Ok(Answer::Texts(texts)) => {
            let texts: Option<Vec<v8::Local<'_, v8::Value>>> = texts
                .iter()
                .map(|text| v8::String::new(scope, text).map(Into::into))
                .collect();
            if let Some(texts) = texts {
                returned.set(v8::Array::new_with_elements(scope, &texts).into());
            }
        }
        Ok(Answer::Numbers(numbers)) => {
            if let Some(list) = list(scope, &numbers) {
                returned.set(list.into());
            }
        }
        Ok(Answer::Nothing) => {}
        Err(error) => throw(scope, error),
    }
}

fn list<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    numbers: &Numbers,
) -> Option<v8::Local<'s, v8::Array>> {
    let bits = u32::try_from(numbers.modulus_bits).unwrap_or_default();
    let mut items: Vec<v8::Local<'s, v8::Value>> =
        vec![v8::Integer::new_from_unsigned(scope, bits).into()];
    for number in &numbers.values {
        items.push(uint8_array(scope, number)?.into());
    }
    Some(v8::Array::new_with_elements(scope, &items))
}

fn throw(scope: &mut v8::PinScope<'_, '_>, error: CryptoError) {
    let texts = (
        v8::String::new(scope, &error.to_string()),
        v8::String::new(scope, "name"),
        v8::String::new(scope, error.name()),
    );
    let (Some(message), Some(key), Some(name)) = texts else {
        return;
    };
    let exception = v8::Exception::error(scope, message);
    if let Ok(object) = v8::Local::<v8::Object>::try_from(exception) {
        object.create_data_property(scope, key.into(), name.into());
    }
    scope.throw_exception(exception);
}

/// Defines host functions: what they compute of what they are given.
macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident => |$given:ident| $body:expr;)*) => {
        $(
            $(#[$doc])*
            fn $name<'s>(
                scope: &mut v8::PinScope<'s, '_>,
                args: v8::FunctionCallbackArguments<'s>,
                mut returned: v8::ReturnValue<'_>,
            ) {
                let compute = |$given: Given<'_, '_, '_>| -> Result<Answer> { $body };
                let computed = compute(Given(scope, &args));
                answer(scope, &mut returned, computed);
            }
        )*

        /// The functions by name.
        pub(crate) fn ops() -> Vec<Op> {
            use v8::MapFnTo;
            vec![$((stringify!($name), $name.map_fn_to())),*]
        }
    };
}

ops! {
    /// `(view)`: fills it.
    op_crypto_random => |given| {
        let view = given.1.get(0);
        let mut random = bytes_of(view).ok_or(WRONG_CALL)?;
        random::fill(&mut random)?;
        write_into(view, &random).ok_or(WRONG_CALL)?;
        Ok(Answer::Nothing)
    };
    /// `()`
    op_crypto_random_uuid => |_given| Ok(Answer::Text(random::uuid_v4()?));
    /// `(data)`: a copy.
    op_crypto_copy => |given| Ok(Answer::Array(given.bytes(0)?));
    /// `(data)`: a copy, as an `ArrayBuffer`.
    op_crypto_copy_buffer => |given| Ok(Answer::Buffer(given.bytes(0)?));
    /// `(data, bits)`: a copy of the first bits; what is left of the last byte is zero. `bits` must
    /// not be more than there are.
    op_crypto_first_bits => |given| {
        let (mut bytes, bits) = (given.bytes(0)?, given.size(1)?);
        if bits > bytes.len() * 8 {
            return Err(CryptoError::Operation("The length is longer than the shared secret"));
        }
        bytes.truncate(bits.div_ceil(8));
        if let (Some(last), rest @ 1..) = (bytes.last_mut(), bits % 8) {
            *last &= 0xff << (8 - rest);
        }
        Ok(Answer::Array(bytes))
    };
    /// `(data)`
    op_crypto_base64url_encode => |given| Ok(Answer::Text(URL_SAFE_NO_PAD.encode(given.bytes(0)?)));
    /// `(text)`
    op_crypto_base64url_decode => |given| {
        let bytes = URL_SAFE_NO_PAD
            .decode(given.text(0))
            .map_err(|_| CryptoError::Data("A member of the JWK is not base64url"))?;
        Ok(Answer::Array(bytes))
    };
    /// `(hash, data)`
    op_crypto_digest => |given| Ok(Answer::Buffer(given.hash(0)?.digest(&given.bytes(1)?)));
    /// `(hash, key, data)`
    op_crypto_hmac_sign => |given| {
        Ok(Answer::Buffer(hash::hmac(given.hash(0)?, &given.bytes(1)?, &given.bytes(2)?)?))
    };
    /// `(hash, key, data, signature)`
    op_crypto_hmac_verify => |given| {
        let (key, data, tag) = (given.bytes(1)?, given.bytes(2)?, given.bytes(3)?);
        Ok(Answer::Bool(hash::verify_hmac(given.hash(0)?, &key, &data, &tag)?))
    };
    /// `(key, iv, data)`
    op_crypto_aes_cbc_encrypt => |given| {
        Ok(Answer::Buffer(aes::encrypt_cbc(&given.bytes(0)?, &given.bytes(1)?, given.bytes(2)?)?))
    };
    /// `(key, iv, data)`
    op_crypto_aes_cbc_decrypt => |given| {
        Ok(Answer::Buffer(aes::decrypt_cbc(&given.bytes(0)?, &given.bytes(1)?, given.bytes(2)?)?))
    };
    /// `(key, counter, counterBits, data)`
    op_crypto_aes_ctr => |given| {
        let (key, counter, bits) = (given.bytes(0)?, given.bytes(1)?, given.number(2)?);
        Ok(Answer::Buffer(aes::apply_ctr(&key, &counter, bits, given.bytes(3)?)?))
    };
    /// `(key, iv, additionalData, tagBytes, data)`
    op_crypto_aes_gcm_encrypt => |given| {
        let (key, iv, additional) = (given.bytes(0)?, given.bytes(1)?, given.bytes(2)?);
        let made = gcm::encrypt(&key, &iv, &additional, given.size(3)?, given.bytes(4)?)?;
        Ok(Answer::Buffer(made))
    };
    /// `(key, iv, additionalData, tagBytes, data)`
    op_crypto_aes_gcm_decrypt => |given| {
        let (key, iv, additional) = (given.bytes(0)?, given.bytes(1)?, given.bytes(2)?);
        let made = gcm::decrypt(&key, &iv, &additional, given.size(3)?, given.bytes(4)?)?;
        Ok(Answer::Buffer(made))
    };
    /// `(key, data)`
    op_crypto_aes_kw_wrap => |given| {
        Ok(Answer::Buffer(aes::wrap(&given.bytes(0)?, &given.bytes(1)?)?))
    };
    /// `(key, data)`
    op_crypto_aes_kw_unwrap => |given| {
        Ok(Answer::Array(aes::unwrap(&given.bytes(0)?, &given.bytes(1)?)?))
    };
    /// `(hash, password, salt, iterations, bytes)`
    op_crypto_pbkdf2 => |given| {
        let (password, salt) = (given.bytes(1)?, given.bytes(2)?);
        let (iterations, length) = (given.number(3)?, given.size(4)?);
        Ok(Answer::Array(kdf::pbkdf2(given.hash(0)?, &password, &salt, iterations, length)?))
    };
    /// `(hash, material, salt, info, bytes)`
    op_crypto_hkdf => |given| {
        let (material, salt, info) = (given.bytes(1)?, given.bytes(2)?, given.bytes(3)?);
        Ok(Answer::Array(kdf::hkdf(given.hash(0)?, &material, &salt, &info, given.size(4)?)?))
    };
    /// `(family, modulusBits)`: a private key.
    op_crypto_generate => |given| {
        let key = match given.family(0)? {
            Family::Ec(curve) => ec::generate(curve)?,
            Family::Ed25519 | Family::X25519 => curve25519::generate()?.to_vec(),
            Family::Rsa => rsa::generate(given.number(1)?)?,
        };
        Ok(Answer::Array(key))
    };
    /// `(family, private)`: the public key.
    op_crypto_public => |given| {
        let private = given.bytes(1)?;
        let key = match given.family(0)? {
            Family::Ec(curve) => ec::public(curve, &private)?,
            Family::Ed25519 => curve25519::ed25519_public(&private)?.to_vec(),
            Family::X25519 => curve25519::x25519_public(&private)?.to_vec(),
            Family::Rsa => rsa::public(&private)?,
        };
        Ok(Answer::Array(key))
    };
    /// `(family, der)`: the public key in it.
    op_crypto_spki_read => |given| {
        Ok(Answer::Array(containers::read_spki(given.family(0)?, &given.bytes(1)?)?))
    };
    /// `(family, public)`
    op_crypto_spki_write => |given| {
        Ok(Answer::Buffer(containers::write_spki(given.family(0)?, &given.bytes(1)?)?))
    };
    /// `(family, der)`: the private key in it.
    op_crypto_pkcs8_read => |given| {
        Ok(Answer::Array(containers::read_pkcs8(given.family(0)?, &given.bytes(1)?)?))
    };
    /// `(family, private)`
    op_crypto_pkcs8_write => |given| {
        Ok(Answer::Buffer(containers::write_pkcs8(given.family(0)?, &given.bytes(1)?)?))
    };
    /// `(curve, sec1)`: a public key, checked.
    op_crypto_ec_point => |given| Ok(Answer::Array(ec::point(given.curve(0)?, &given.bytes(1)?)?));
    /// `(curve, x, y)`: a public key, checked.
    op_crypto_ec_point_of => |given| {
        let (x, y) = (given.bytes(1)?, given.bytes(2)?);
        Ok(Answer::Array(ec::point_from_coordinates(given.curve(0)?, &x, &y)?))
    };
    /// `(point)`: its coordinates in base64url.
    op_crypto_ec_halves => |given| {
        let point = given.bytes(0)?;
        let coordinates = point.get(1..).ok_or(WRONG_CALL)?;
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        Ok(Answer::Texts([x, y].map(|half| URL_SAFE_NO_PAD.encode(half))))
    };
    /// `(data, data)`: whether two public keys are equal.
    op_crypto_equal => |given| Ok(Answer::Bool(given.bytes(0)? == given.bytes(1)?));
    /// `(curve, private, public)`: throws when they do not belong together.
    op_crypto_ec_check_pair => |given| {
        let (private, public) = (given.bytes(1)?, given.bytes(2)?);
        ec::check_pair(given.curve(0)?, &private, Some(&public))?;
        Ok(Answer::Nothing)
    };
    /// `(curve, hash, private, data)`
    op_crypto_ecdsa_sign => |given| {
        let (private, data) = (given.bytes(2)?, given.bytes(3)?);
        Ok(Answer::Buffer(ec::sign(given.curve(0)?, given.hash(1)?, &private, &data)?))
    };
    /// `(curve, hash, public, data, signature)`
    op_crypto_ecdsa_verify => |given| {
        let (curve, hash) = (given.curve(0)?, given.hash(1)?);
        let (public, data, signature) = (given.bytes(2)?, given.bytes(3)?, given.bytes(4)?);
        Ok(Answer::Bool(ec::verify(curve, hash, &public, &data, &signature)?))
    };
    /// `(curve, private, public)`
    op_crypto_ecdh => |given| {
        Ok(Answer::Array(ec::agree(given.curve(0)?, &given.bytes(1)?, &given.bytes(2)?)?))
    };
    /// `(private, data)`
    op_crypto_ed25519_sign => |given| {
        Ok(Answer::Buffer(curve25519::ed25519_sign(&given.bytes(0)?, &given.bytes(1)?)?))
    };
    /// `(public, data, signature)`
    op_crypto_ed25519_verify => |given| {
        let (public, data, signature) = (given.bytes(0)?, given.bytes(1)?, given.bytes(2)?);
        Ok(Answer::Bool(curve25519::ed25519_verify(&public, &data, &signature)?))
    };
    /// `(private, public)`
    op_crypto_x25519 => |given| {
        Ok(Answer::Array(curve25519::x25519_agree(&given.bytes(0)?, &given.bytes(1)?)?))
    };
    /// `(public)`: `[modulusBits, n, e]`
    op_crypto_rsa_public_numbers => |given| {
        Ok(Answer::Numbers(rsa::public_numbers(&given.bytes(0)?)?))
    };
    /// `(private)`: `[modulusBits, n, e, d, p, q, dp, dq, qi]`
    op_crypto_rsa_private_numbers => |given| {
        Ok(Answer::Numbers(rsa::private_numbers(&given.bytes(0)?)?))
    };
    /// `(n, e)`: a public key.
    op_crypto_rsa_public_of => |given| {
        Ok(Answer::Array(rsa::public_from_numbers(&given.bytes(0)?, &given.bytes(1)?)?))
    };
    /// `(n, e, d, p, q)`: a private key.
    op_crypto_rsa_private_of => |given| {
        let (n, e, d) = (given.bytes(0)?, given.bytes(1)?, given.bytes(2)?);
        let (p, q) = (given.bytes(3)?, given.bytes(4)?);
        Ok(Answer::Array(rsa::private_from_numbers([&n, &e, &d, &p, &q])?))
    };
    /// `(saltBytes | undefined, hash, private, data)`
    op_crypto_rsa_sign => |given| {
        let (padding, hash) = (given.padding(0)?, given.hash(1)?);
        Ok(Answer::Buffer(rsa::sign(padding, hash, &given.bytes(2)?, &given.bytes(3)?)?))
    };
    /// `(saltBytes | undefined, hash, public, data, signature)`
    op_crypto_rsa_verify => |given| {
        let (padding, hash) = (given.padding(0)?, given.hash(1)?);
        let (public, data, signature) = (given.bytes(2)?, given.bytes(3)?, given.bytes(4)?);
        Ok(Answer::Bool(rsa::verify(padding, hash, &public, &data, &signature)?))
    };
    /// `(hash, public, label, data)`
    op_crypto_rsa_encrypt => |given| {
        let (public, label, data) = (given.bytes(1)?, given.bytes(2)?, given.bytes(3)?);
        Ok(Answer::Buffer(rsa::encrypt(given.hash(0)?, &public, &label, &data)?))
    };
    /// `(hash, private, label, data)`
    op_crypto_rsa_decrypt => |given| {
        let (private, label, data) = (given.bytes(1)?, given.bytes(2)?, given.bytes(3)?);
        Ok(Answer::Buffer(rsa::decrypt(given.hash(0)?, &private, &label, &data)?))
    };
}
