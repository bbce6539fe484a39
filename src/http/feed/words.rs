//! What a feed says of itself, in the languages that episodes are made in.

/// The words of a language.
pub(super) struct Words {
    /// Its BCP 47 tag.
    pub language: &'static str,
    /// The name of the feed.
    pub title: &'static str,
    /// What it is, and that it is nobody else's.
    pub description: &'static str,
    /// How often there is an episode.
    pub daily: &'static str,
}

static WORDS: [Words; 5] = [
    Words {
        language: "en",
        title: "Your daily podcast",
        description: "A few minutes every morning about what you are learning, made for you alone. \
                      This feed is private: whoever has its address can listen, so please keep it to yourself.",
        daily: "Every day",
    },
    Words {
        language: "ja",
        title: "あなたのデイリーポッドキャスト",
        description: "いま学んでいることを、毎朝数分で。あなただけのために作られた番組です。\
                      このフィードは非公開です。アドレスを知っている人は誰でも聴けるので、人に教えないでください。",
        daily: "毎日",
    },
    Words {
        language: "es",
        title: "Tu pódcast diario",
        description: "Unos minutos cada mañana sobre lo que estás aprendiendo, hechos solo para ti. \
                      Este canal es privado: quien tenga su dirección puede escucharlo, así que no la compartas.",
        daily: "Cada día",
    },
    Words {
        language: "fr",
        title: "Votre podcast quotidien",
        description: "Chaque matin, quelques minutes sur ce que vous apprenez, préparées rien que pour vous. \
                      Ce flux est privé : quiconque possède son adresse peut l'écouter, gardez-la pour vous.",
        daily: "Tous les jours",
    },
    Words {
        language: "de",
        title: "Dein täglicher Podcast",
        description: "Jeden Morgen ein paar Minuten über das, was du gerade lernst, nur für dich gemacht. \
                      Dieser Feed ist privat: Wer die Adresse hat, kann mithören, also behalte sie für dich.",
        daily: "Jeden Tag",
    },
];

/// The words of a language, whatever its region; English for one that we have none of.
pub(super) fn words(language: Option<&str>) -> &'static Words {
    let primary = language.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or_default();
    WORDS.iter().find(|words| words.language.eq_ignore_ascii_case(primary)).unwrap_or(&WORDS[0])
}
