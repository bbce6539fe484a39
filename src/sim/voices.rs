//! Which voices the three speakers have: those of our own voice list and some more.

/// A voice of Polly: name, language, gender, engines.
pub(super) const POLLY: &[(&str, &str, &str, &[&str])] = &[
    ("Joanna", "en-US", "Female", &["neural", "standard"]),
    ("Matthew", "en-US", "Male", &["neural", "standard"]),
    ("Ruth", "en-US", "Female", &["generative", "neural"]),
    ("Stephen", "en-US", "Male", &["generative", "neural"]),
    ("Lucia", "es-ES", "Female", &["neural", "standard"]),
    ("Enrique", "es-ES", "Male", &["standard"]),
    ("Sergio", "es-ES", "Male", &["neural"]),
    ("Mia", "es-MX", "Female", &["neural", "standard"]),
    ("Andres", "es-MX", "Male", &["neural"]),
    ("Lupe", "es-US", "Female", &["neural", "standard"]),
    ("Pedro", "es-US", "Male", &["neural"]),
    ("Lea", "fr-FR", "Female", &["neural", "standard"]),
    ("Mathieu", "fr-FR", "Male", &["standard"]),
    ("Remi", "fr-FR", "Male", &["neural"]),
    ("Vicki", "de-DE", "Female", &["neural", "standard"]),
    ("Hans", "de-DE", "Male", &["standard"]),
    ("Daniel", "de-DE", "Male", &["neural"]),
    ("Camila", "pt-BR", "Female", &["neural", "standard"]),
    ("Thiago", "pt-BR", "Male", &["neural"]),
    ("Seoyeon", "ko-KR", "Female", &["neural", "standard"]),
    ("Mizuki", "ja-JP", "Female", &["standard"]),
    ("Takumi", "ja-JP", "Male", &["neural", "standard"]),
    ("Kazuha", "ja-JP", "Female", &["neural"]),
    ("Tomoko", "ja-JP", "Female", &["neural"]),
];

/// The languages that Google's Chirp voices are offered in here.
const GOOGLE_LANGUAGES: [&str; 7] = ["en-US", "es-ES", "es-US", "fr-FR", "de-DE", "ja-JP", "pt-BR"];

/// Google's Chirp voices, each with its gender.
const CHIRP: [(&str, &str); 8] = [
    ("Aoede", "FEMALE"),
    ("Kore", "FEMALE"),
    ("Leda", "FEMALE"),
    ("Zephyr", "FEMALE"),
    ("Charon", "MALE"),
    ("Fenrir", "MALE"),
    ("Orus", "MALE"),
    ("Puck", "MALE"),
];

/// Google's older voices.
const NEURAL2: [(&str, &str); 14] = [
    ("en-US-Neural2-F", "FEMALE"),
    ("en-US-Neural2-D", "MALE"),
    ("es-ES-Neural2-A", "FEMALE"),
    ("es-ES-Neural2-F", "MALE"),
    ("es-US-Neural2-A", "FEMALE"),
    ("es-US-Neural2-B", "MALE"),
    ("fr-FR-Neural2-F", "FEMALE"),
    ("fr-FR-Neural2-G", "MALE"),
    ("de-DE-Neural2-G", "FEMALE"),
    ("de-DE-Neural2-H", "MALE"),
    ("ja-JP-Neural2-B", "FEMALE"),
    ("ja-JP-Neural2-C", "MALE"),
    ("en-US-Standard-C", "FEMALE"),
    ("en-US-Standard-D", "MALE"),
];

/// Azure's voices.
pub(super) const AZURE: &[(&str, &str)] = &[
    ("en-US-AvaMultilingualNeural", "Female"),
    ("en-US-AndrewMultilingualNeural", "Male"),
    ("en-US-JennyNeural", "Female"),
    ("es-ES-ElviraNeural", "Female"),
    ("es-ES-AlvaroNeural", "Male"),
    ("es-MX-DaliaNeural", "Female"),
    ("es-MX-JorgeNeural", "Male"),
    ("fr-FR-DeniseNeural", "Female"),
    ("fr-FR-HenriNeural", "Male"),
    ("de-DE-KatjaNeural", "Female"),
    ("de-DE-ConradNeural", "Male"),
    ("ja-JP-NanamiNeural", "Female"),
    ("ja-JP-KeitaNeural", "Male"),
];

/// Google's voices: name, language, gender.
pub(super) fn google() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    let chirp = GOOGLE_LANGUAGES.into_iter().flat_map(|language| {
        CHIRP.into_iter().map(move |(name, gender)| (format!("{language}-Chirp3-HD-{name}"), language, gender))
    });
    let neural = NEURAL2.into_iter().map(|(name, gender)| (name.to_owned(), language_of(name), gender));
    chirp.chain(neural)
}

/// The language that a name like `en-US-JennyNeural` begins with.
pub(super) fn language_of(voice: &str) -> &str {
    voice.match_indices('-').nth(1).map_or(voice, |(at, _)| &voice[..at])
}
