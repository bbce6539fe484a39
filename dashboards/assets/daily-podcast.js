// <daily-podcast>: a learner's podcast of today, in any page, with one tag and no dependency.
//
//   <script type="module" src="https://podcast.example/static/daily-podcast.js"></script>
//   <daily-podcast lang="en" theme="auto"></daily-podcast>
//
// Attributes: api-base (default: where this file is from), lang (en, ja, es, fr, de), theme (light,
// dark, auto), episode (an id; default: today's), src (the address of a shared episode's JSON).
// Properties: token, or getToken, a function that may be async. Never an attribute: those end up in
// pages and logs. Without either the cookie of the study page counts.
// Methods: play(), pause(). Events, bubbling out of any shadow: podcast:play, podcast:pause,
// podcast:progress, podcast:like, podcast:share, podcast:ready (it was made while the page was open),
// podcast:error (its reason: login, gone, away or audio); their detail has id, position and duration.
// Theming: --podcast-accent, --podcast-on-accent, --podcast-paper, --podcast-ink, --podcast-soft,
// --podcast-line, --podcast-radius, --podcast-font, and the parts card, art, title, topic, note,
// play, seek, action, script.

// --- Words ----------------------------------------------------------------------------------------

const WORDS = {
  en: {
    play: "Play", pause: "Pause", back: "Back 15 seconds", forward: "Forward 15 seconds", seek: "Position",
    of: "{a} of {b}", speed: "Speed", script: "Script", like: "Like", share: "Share", download: "Download",
    min: "{n} min", untitled: "Your podcast", at: "Play from {t}", link: "Link to this episode",
    open: "Anyone with the link can listen to this episode and read its script. Both may say your name and how you did.",
    create: "Make a link", copy: "Copy link", copied: "Link copied.", stop: "Stop sharing",
    stopped: "The link does not work any more.", loading: "Loading your podcast …",
    making: "Your podcast is being made. It usually takes a few minutes.", ready: "Your new podcast is ready.",
    tomorrow: "Your next podcast comes tomorrow morning.", make: "Make one now",
    again: "You can ask for one more from {t}.",
    late: "Your podcast is taking longer than usual. We are sorry. It comes as soon as it is ready.",
    missed: "Today’s podcast could not be made. We are sorry. The next one comes tomorrow.",
    latest: "Until then, here is your latest one.", login: "Please log in to hear your podcast.",
    away: "Your podcast cannot be reached right now. Are you offline?", retry: "Try again",
    gone: "This episode is not here any more.", today: "Play today’s",
    failed: "That did not work just now. Please try again.",
  },
  ja: {
    play: "再生", pause: "一時停止", back: "15秒戻る", forward: "15秒進む", seek: "再生位置", of: "{b}中{a}",
    speed: "速度", script: "原稿", like: "お気に入り", share: "共有", download: "ダウンロード", min: "{n}分",
    untitled: "あなたのポッドキャスト", at: "{t}から再生", link: "このエピソードへのリンク",
    open: "リンクを知っている人は誰でもこのエピソードを聴き、原稿を読めます。あなたの名前や成績が含まれることがあります。",
    create: "リンクを作る", copy: "リンクをコピー", copied: "リンクをコピーしました。", stop: "共有をやめる",
    stopped: "リンクは使えなくなりました。", loading: "ポッドキャストを読み込んでいます…",
    making: "ポッドキャストを作っています。たいてい数分でできあがります。",
    ready: "新しいポッドキャストができました。", tomorrow: "次のポッドキャストは明日の朝に届きます。",
    make: "今すぐ作る", again: "次は{t}から作れます。",
    late: "ポッドキャストの作成に、いつもより時間がかかっています。申し訳ありません。できあがり次第お届けします。",
    missed: "今日のポッドキャストは作れませんでした。申し訳ありません。次は明日お届けします。",
    latest: "それまで、最新のエピソードをどうぞ。", login: "ポッドキャストを聴くにはログインしてください。",
    away: "ただいまポッドキャストに接続できません。オフラインではありませんか？", retry: "もう一度試す",
    gone: "このエピソードはもうありません。", today: "今日のを再生",
    failed: "うまくいきませんでした。もう一度お試しください。",
  },
  es: {
    play: "Reproducir", pause: "Pausar", back: "Retroceder 15 segundos", forward: "Avanzar 15 segundos",
    seek: "Posición", of: "{a} de {b}", speed: "Velocidad", script: "Texto", like: "Me gusta", share: "Compartir",
    download: "Descargar", min: "{n} min", untitled: "Tu pódcast", at: "Reproducir desde {t}",
    link: "Enlace a este episodio",
    open: "Cualquiera que tenga el enlace puede escuchar este episodio y leer su texto. Pueden decir tu nombre y tus resultados.",
    create: "Crear enlace", copy: "Copiar enlace", copied: "Enlace copiado.", stop: "Dejar de compartir",
    stopped: "El enlace ya no funciona.", loading: "Cargando tu pódcast …",
    making: "Tu pódcast se está preparando. Suele tardar unos minutos.", ready: "Tu nuevo pódcast está listo.",
    tomorrow: "Tu próximo pódcast llega mañana por la mañana.", make: "Crear uno ahora",
    again: "Puedes pedir otro a partir del {t}.",
    late: "Tu pódcast tarda más de lo habitual. Lo sentimos. Llegará en cuanto esté listo.",
    missed: "El pódcast de hoy no se ha podido hacer. Lo sentimos. El próximo llega mañana.",
    latest: "Mientras tanto, aquí tienes el más reciente.", login: "Inicia sesión para escuchar tu pódcast.",
    away: "No podemos acceder a tu pódcast ahora mismo. ¿Tienes conexión?", retry: "Reintentar",
    gone: "Este episodio ya no está disponible.", today: "Reproducir el de hoy",
    failed: "Ahora mismo no ha funcionado. Inténtalo de nuevo.",
  },
  fr: {
    play: "Lire", pause: "Mettre en pause", back: "Reculer de 15 secondes", forward: "Avancer de 15 secondes",
    seek: "Position", of: "{a} sur {b}", speed: "Vitesse", script: "Texte", like: "J’aime", share: "Partager",
    download: "Télécharger", min: "{n} min", untitled: "Votre podcast", at: "Lire à partir de {t}",
    link: "Lien vers cet épisode",
    open: "Toute personne qui a le lien peut écouter cet épisode et lire son texte. Votre nom et vos résultats peuvent y figurer.",
    create: "Créer un lien", copy: "Copier le lien", copied: "Lien copié.", stop: "Ne plus partager",
    stopped: "Le lien ne fonctionne plus.", loading: "Chargement de votre podcast …",
    making: "Votre podcast est en préparation. Cela prend en général quelques minutes.",
    ready: "Votre nouveau podcast est prêt.", tomorrow: "Votre prochain podcast arrive demain matin.",
    make: "En créer un maintenant", again: "Vous pourrez en demander un autre à partir du {t}.",
    late: "Votre podcast prend plus de temps que d’habitude, veuillez nous excuser. Il arrive dès qu’il est prêt.",
    missed: "Le podcast du jour n’a pas pu être créé, veuillez nous excuser. Le prochain arrive demain.",
    latest: "En attendant, voici le plus récent.", login: "Connectez-vous pour écouter votre podcast.",
    away: "Votre podcast est injoignable pour le moment. Êtes-vous hors ligne ?", retry: "Réessayer",
    gone: "Cet épisode n’est plus disponible.", today: "Écouter celui du jour",
    failed: "Cela n’a pas fonctionné. Réessayez.",
  },
  de: {
    play: "Abspielen", pause: "Anhalten", back: "15 Sekunden zurück", forward: "15 Sekunden vor", seek: "Stelle",
    of: "{a} von {b}", speed: "Tempo", script: "Text", like: "Gefällt mir", share: "Teilen",
    download: "Herunterladen", min: "{n} Min.", untitled: "Dein Podcast", at: "Ab {t} abspielen",
    link: "Link zu dieser Folge",
    open: "Wer den Link hat, kann diese Folge hören und ihren Text lesen. Beides kann deinen Namen und deine Ergebnisse nennen.",
    create: "Link erstellen", copy: "Link kopieren", copied: "Link kopiert.", stop: "Nicht mehr teilen",
    stopped: "Der Link gilt nicht mehr.", loading: "Dein Podcast wird geladen …",
    making: "Dein Podcast wird gerade gemacht. Das dauert meist ein paar Minuten.",
    ready: "Dein neuer Podcast ist fertig.", tomorrow: "Dein nächster Podcast kommt morgen früh.",
    make: "Jetzt einen machen", again: "Ab {t} kannst du noch einen machen lassen.",
    late: "Dein Podcast braucht länger als sonst. Das tut uns leid. Er kommt, sobald er fertig ist.",
    missed: "Der Podcast von heute konnte nicht gemacht werden. Das tut uns leid. Der nächste kommt morgen.",
    latest: "Bis dahin: deine neueste Folge.", login: "Melde dich an, um deinen Podcast zu hören.",
    away: "Dein Podcast ist gerade nicht erreichbar. Bist du offline?", retry: "Noch einmal versuchen",
    gone: "Diese Folge ist nicht mehr da.", today: "Den von heute abspielen",
    failed: "Das hat gerade nicht geklappt. Bitte versuche es noch einmal.",
  },
};

// --- Look -----------------------------------------------------------------------------------------

const STYLE = `
:host { --a: var(--podcast-accent, light-dark(#4650c8, #a5adff)); --on: var(--podcast-on-accent, light-dark(#fff, #14152a)); --paper: var(--podcast-paper, light-dark(#fff, #1b1d27)); --ink: var(--podcast-ink, light-dark(#1b1c24, #eeeff5)); --soft: var(--podcast-soft, light-dark(#5c5d69, #a4a8ba)); --line: var(--podcast-line, light-dark(#e4e2da, #313545)); --edge: light-dark(#8b8a83, #727891); --tile: #4650c8; --tint: color-mix(in oklab, var(--a) 10%, var(--paper)); display: block; container-type: inline-size; color-scheme: light dark; font-family: var(--podcast-font, inherit); line-height: 1.5; text-align: start; }
/* Whatever the accent is, it can be read on the paper, and its opposite on it. */
@supports (color: oklch(from light-dark(red, red) max(l, .5) c h)) {
  :host { --a: light-dark(oklch(from var(--podcast-accent, #4650c8) min(l, .49) c h), oklch(from var(--podcast-accent, #a5adff) max(l, .75) c h)); --tile: oklch(from var(--a) .48 c h); }
}
:host([hidden]), [hidden] { display: none !important; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
*, *::before { box-sizing: border-box; }
h2, p, ol { margin: 0; padding: 0; }
button, select, input, a { font: inherit; color: inherit; }
button, a, select { cursor: pointer; -webkit-tap-highlight-color: transparent; }
:focus-visible { outline: 3px solid var(--a); outline-offset: 3px; }
svg { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.card, .head, .words, .deck, .panel { display: grid; grid-template-columns: minmax(0, 1fr); gap: .75rem; }
.card { gap: clamp(1.1rem, 3.5cqi, 1.75rem); padding: clamp(1.1rem, 5cqi, 2.25rem); border: 1px solid var(--line); border-radius: var(--podcast-radius, 28px); background: var(--paper); color: var(--ink); box-shadow: 0 1px 2px light-dark(#1b1c240d, #0004), 0 18px 48px -24px light-dark(#1b1c2433, #0009); overflow-wrap: anywhere; }

.note { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: center; justify-content: space-between; padding: .9rem 1.15rem; border-radius: 16px; background: var(--tint); text-wrap: pretty; }
.note p { flex: 1 1 16rem; }
.alone .note { flex-direction: column; justify-content: center; padding: clamp(1.5rem, 6cqi, 3.5rem) 0; background: none; font-size: 1.125rem; text-align: center; }
.alone .note p { flex: none; max-width: 36ch; text-wrap: balance; }
.alone .note::before { content: ""; width: 3.5rem; height: 3.5rem; border-radius: 50%; background: radial-gradient(circle, var(--a) 22%, transparent 24%), var(--tint); }
.busy:not(.alone) .note p::before { content: ""; display: inline-block; width: .6rem; height: .6rem; margin-inline-end: .7rem; border-radius: 50%; background: var(--a); }
.busy .note::before, .busy .note p::before { animation: breathe 2.4s ease-in-out infinite; }

.head { gap: 1.25rem; align-items: center; }
.words { gap: .45rem; }
.art { display: none; place-items: center; aspect-ratio: 1; border-radius: 24px; color: #fff; background: linear-gradient(145deg, color-mix(in oklab, var(--tile), #fff 12%), color-mix(in oklab, var(--tile), #000 30%)); }
.art svg { width: 68%; height: 68%; stroke-width: 1.4; }
.art path { transform-origin: center; }
.on .art path { animation: sway 1.1s ease-in-out infinite alternate; }
.on .art path + path { animation-delay: -.7s; }
.meta, .topic { color: var(--soft); text-wrap: pretty; }
.meta { font-size: .9375rem; font-weight: 540; }
.meta::first-letter { text-transform: uppercase; }
h2 { font-size: clamp(1.375rem, 1rem + 2.6cqi, 2.125rem); font-weight: 680; line-height: 1.2; letter-spacing: -.022em; text-wrap: balance; }

.trio { display: flex; justify-content: center; gap: .75rem; align-items: center; }
.trio button { display: grid; place-items: center; width: 3.25rem; height: 3.25rem; padding: 0; border: 0; border-radius: 50%; background: none; color: var(--ink); }
.trio button:hover { background: var(--tint); }
.trio svg { width: 2rem; height: 2rem; stroke-width: 1.5; }
.trio text { font: 700 7.5px system-ui, sans-serif; fill: currentColor; stroke: none; text-anchor: middle; }
.trio .play { width: 4.5rem; height: 4.5rem; background: var(--a); color: var(--on); transition: transform .15s; }
.trio .play:hover { background: var(--a); transform: scale(1.05); }
.play svg { fill: currentColor; stroke-width: 1.2; }
.play .stop, .on .play .go { display: none; }
.on .play .stop { display: block; }
.seek input { --track: linear-gradient(to right, var(--a) var(--fill), light-dark(#e6e4dd, #383c4d) var(--fill)); appearance: none; display: block; width: 100%; height: 1.75rem; margin: 0; border-radius: 8px; background: none; cursor: pointer; }
.seek ::-webkit-slider-runnable-track { height: 8px; border-radius: 9px; background: var(--track); }
.seek ::-moz-range-track { height: 8px; border-radius: 9px; background: var(--track); }
.seek ::-webkit-slider-thumb { appearance: none; width: 20px; height: 20px; margin-top: -6px; border: 3px solid var(--paper); border-radius: 50%; background: var(--a); box-shadow: 0 0 0 1px var(--a); }
.seek ::-moz-range-thumb { width: 14px; height: 14px; border: 3px solid var(--paper); border-radius: 50%; background: var(--a); box-shadow: 0 0 0 1px var(--a); }
.times { display: flex; justify-content: space-between; color: var(--soft); font-size: .875rem; font-variant-numeric: tabular-nums; }

.actions { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.pill { display: inline-flex; justify-content: center; gap: .5rem; align-items: center; min-height: 2.75rem; padding: .4rem 1rem; border: 1px solid var(--line); border-radius: 99px; background: none; font-size: .9375rem; font-weight: 540; text-decoration: none; white-space: nowrap; }
.pill:hover { background: var(--tint); }
.pill[aria-pressed="true"], .pill[aria-expanded="true"] { border-color: transparent; background: var(--tint); color: var(--a); }
[aria-pressed="true"] svg { fill: currentColor; }
.panel .pill { background: var(--paper); }
.pill.main { border-color: transparent; background: var(--a); color: var(--on); }
.pill.main:hover { filter: brightness(1.08); }
select { field-sizing: content; min-height: 1.75rem; padding: .2rem; border: 0; border-radius: 8px; background: none; font-weight: 600; font-variant-numeric: tabular-nums; }
option { color: var(--ink); background: var(--paper); }
.panel { padding: 1.15rem; border-radius: 18px; background: var(--tint); }
.panel input { flex: 1 1 12rem; min-width: 0; min-height: 2.75rem; padding: .4rem .9rem; border: 1px solid var(--edge); border-radius: 12px; background: var(--paper); }
.live { color: var(--soft); font-size: .9375rem; }
.live:empty { position: absolute; }

.script { position: relative; max-height: min(26rem, 70vh); overflow-y: auto; overscroll-behavior: contain; border-top: 1px solid var(--line); padding-top: .75rem; scrollbar-width: thin; }
.script ol { display: grid; gap: .15rem; list-style: none; }
.script li { display: grid; grid-template-columns: 3.25rem minmax(0, 68ch); gap: .5rem; padding: .6rem .75rem; border-radius: 14px; font-size: 1.0625rem; line-height: 1.65; text-wrap: pretty; cursor: pointer; }
.script li:hover { background: color-mix(in oklab, var(--tint) 50%, transparent); }
.script li[aria-current] { background: var(--tint); }
.script li.plain { grid-template-columns: minmax(0, 68ch); background: none; cursor: auto; }
.script button { align-self: start; min-height: 1.75rem; padding: 0 .3rem; border: 0; border-radius: 8px; background: none; color: var(--soft); font-size: .875rem; font-variant-numeric: tabular-nums; text-align: start; }
.script [aria-current] button { color: var(--a); font-weight: 650; }

@container (min-width: 40rem) {
  .head { grid-template-columns: clamp(8rem, 20cqi, 11rem) minmax(0, 1fr); gap: clamp(1.5rem, 4cqi, 2.25rem); }
  .art { display: grid; }
  .deck { grid-template-columns: auto minmax(0, 1fr); gap: 1.5rem; align-items: center; }
  .trio { order: -1; margin-inline-start: -.5rem; }
  .seek { padding-top: 1.4rem; }
}
@container (max-width: 32rem) {
  .pill { flex: 1 1 auto; padding-inline: .8rem; }
}
@container (max-width: 20rem) {
  .pill { gap: .35rem; padding-inline: .55rem; }
}
@container (max-width: 24rem) {
  .script li { grid-template-columns: minmax(0, 1fr); gap: 0; padding-inline: .6rem; }
  .script button { padding: 0; }
}
@keyframes breathe { 50% { opacity: .35; } }
@keyframes sway { to { transform: scaleY(.5); } }
@media (prefers-reduced-motion: reduce) { *, *::before { animation: none !important; transition: none !important; } }
@media (forced-colors: active) {
  .seek input { appearance: auto; }
  .trio .play, .pill, .card { border: 1px solid ButtonText; }
  .script li[aria-current] { outline: 2px solid Highlight; outline-offset: -2px; }
  .pill[aria-pressed="true"] { forced-color-adjust: none; background: Highlight; color: HighlightText; }
}
`;

const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true">${path}</svg>`;
const pill = (name, path, attributes) => `<button type="button" class="pill" part="action" data-ui="${name}" ${attributes}>${icon(path)}<span></span></button>`;
const MARKUP = `
<article class="card alone busy" part="card" data-ui="card">
  <div class="note" part="note" data-ui="note"><p data-ui="said"></p><button type="button" class="pill main" data-ui="act" hidden></button></div>
  <div data-ui="head" class="head" hidden>
    <div class="art" part="art">${icon('<path d="M4.5 11v2M9.5 5.5v13M14.5 4.5v15M19.5 11v2"/><path d="M7 9v6M12 8v8M17 9v6"/>')}</div>
    <div class="words"><p class="meta" data-ui="meta"></p><h2 part="title" data-ui="title"></h2><p class="topic" part="topic" data-ui="topic"></p></div>
  </div>
  <div data-ui="deck" class="deck" hidden>
    <div class="seek"><input type="range" min="0" step="1" value="0" part="seek" data-ui="seek"><div class="times" aria-hidden="true"><span data-ui="now"></span><span data-ui="total"></span></div></div>
    <div class="trio">
      <button type="button" data-ui="back">${icon('<path d="M6.2 6.2A8.2 8.2 0 1 1 3.8 12M6.5 2.5v4h4"/><text x="12" y="14.7">15</text>')}</button>
      <button type="button" class="play" part="play" data-ui="play">${icon('<path class="go" d="M8.5 5.5v13l10-6.5z"/><path class="stop" d="M8 6h2v12H8zM14 6h2v12h-2z"/>')}</button>
      <button type="button" data-ui="forward">${icon('<path d="M17.8 6.2A8.2 8.2 0 1 0 20.2 12M17.5 2.5v4h-4"/><text x="12" y="14.7">15</text>')}</button>
    </div>
  </div>
  <div data-ui="actions" class="actions" hidden>
    ${pill("script", '<path d="M5 6h14M5 10.5h14M5 15h9M5 19.5h6"/>', 'aria-expanded="false"')}
    ${pill("like", '<path d="M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.4 4.3 4.3 0 0 1 19.5 10c0 5.4-7.5 10-7.5 10z"/>', 'aria-pressed="false"')}
    ${pill("share", '<path d="M12 15V4M8 7.5 12 3.5l4 4M6 11.5H5v9h14v-9h-1"/>', 'aria-expanded="false"')}
    <a class="pill" part="action" data-ui="download">${icon('<path d="M12 4v11M8 11.5l4 4 4-4M5 20h14"/>')}<span></span></a>
    <label class="pill" part="action"><span data-ui="speedname"></span><select data-ui="speed"></select></label>
  </div>
  <div class="panel" data-ui="sharing" hidden><p data-ui="open"></p><div class="actions"><input readonly data-ui="link"><button type="button" class="pill main" data-ui="copy"></button><button type="button" class="pill" data-ui="stop"></button></div></div>
  <div class="script" part="script" role="region" tabindex="0" data-ui="text" hidden></div>
  <p class="live" role="status" data-ui="live"></p>
  <audio preload="none" data-ui="audio"></audio>
</article>`;

// --- Small things ---------------------------------------------------------------------------------

const SPEEDS = [0.75, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2];
const JUMP_S = 15;
const STEP_S = 5;
const PAGE_S = 30;
const OVER_S = 3;
const SAVE_EVERY_MS = 10_000;
const TOKEN_MS = 1_000;
const WAITING = ["making", "late", "missed", "tomorrow"];
// How long to wait before asking again, in ms: at first, and at most.
const POLLS = { making: [3_000, 60_000], late: [60_000, 300_000], missed: [300_000, 900_000], away: [10_000, 120_000] };
const HOME = import.meta.url.startsWith("http") ? new URL(import.meta.url).origin : "";
const Base = globalThis.HTMLElement ?? class {};

let playing; // of several on a page, the one that plays
let sheet;
let hasWarned = false;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const fill = (text, values) => text.replace(/\{(\w)\}/g, (_, name) => values[name]);

// A browser may forbid storage.
const kept = {
  get(key) {
    try { return JSON.parse(localStorage.getItem(`dailycast:${key}`)); } catch { return null; }
  },
  set(key, value) {
    try { localStorage.setItem(`dailycast:${key}`, JSON.stringify(value)); } catch { /* not kept */ }
  },
  forget(key) {
    try { localStorage.removeItem(`dailycast:${key}`); } catch { /* nor was it kept */ }
  },
};

// --- The element ----------------------------------------------------------------------------------

export class DailyPodcast extends Base {
  static observedAttributes = ["api-base", "lang", "episode", "src"];

  #ui = {};
  #token = null;
  #getToken = null;
  #headers = {};       // of the last request: there is no time to ask for a token when a page goes
  #life = null;        // ends the listeners when the element is gone
  #turn = 0;           // of several loads the last one counts
  #timer = 0;
  #wait = 0;           // ms until the next poll
  #tag = null;
  #asked = 0;          // when, in ms; 0 is before anybody remembers
  #state = "loading";
  #note = null;        // { word, act }: what is told, and the button beside it
  #againAt = 0;        // when one more may be asked for
  #episode = null;     // as it was told, with a key: its id, or the address that it is from
  #next = null;        // a new one that came while another one played
  #pending = null;     // where to begin, in seconds, before the audio is there
  #moved = false;      // heard or sought here since it is shown: else there is nothing to save
  #saved = 0;          // the place that the server has
  #sent = null;        // the place that is on its way there
  #savedAt = 0;
  #second = -1;
  #wish = false;       // play as soon as there is something
  #stale = true;       // something else is asked for, and not here yet
  #renewed = false;
  #times = null;       // paragraphs with their times
  #current = -1;
  #free = false;       // the reader scrolled: do not follow

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    if (!sheet) { sheet = new CSSStyleSheet(); sheet.replaceSync(STYLE); }
    root.adoptedStyleSheets = [sheet];
    const template = document.createElement("template");
    template.innerHTML = MARKUP;
    root.append(template.content);
    for (const part of root.querySelectorAll("[data-ui]")) this.#ui[part.dataset.ui] = part;
    this.#listen(root);
  }

  get token() { return this.#token; }
  set token(token) { this.#token = token || null; this.#again(); }
  get getToken() { return this.#getToken; }
  set getToken(ask) { this.#getToken = typeof ask === "function" ? ask : null; this.#again(); }

  connectedCallback() {
    // Set before the element was defined: they hide the accessors.
    for (const name of ["token", "getToken"]) {
      if (Object.hasOwn(this, name)) { const value = this[name]; delete this[name]; this[name] = value; }
    }
    if (this.#life) return; // only moved
    this.#life = new AbortController();
    const { signal } = this.#life;
    addEventListener("pagehide", () => this.#save(true), { signal });
    addEventListener("online", () => this.#state === "away" && this.#load(), { signal });
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
    this.#speak();
    this.#again();
  }

  disconnectedCallback() {
    // Who is moved is back in a moment.
    queueMicrotask(() => {
      if (this.isConnected || !this.#life) return;
      this.#save(true);
      this.pause();
      clearTimeout(this.#timer);
      this.#turn += 1;
      this.#life.abort();
      this.#life = null;
      if (playing === this) { playing = null; this.#session(false); }
    });
  }

  attributeChangedCallback(name, old, now) {
    if (old === now || !this.#life) return;
    if (name === "lang") return this.#speak();
    this.#wish = false;
    this.pause();
    this.#again();
  }

  focus(options) { this.#ui.play.focus(options); }

  async play() {
    const { audio } = this.#ui;
    if (!this.#episode || this.#stale) { this.#wish = true; return; }
    this.#wish = false;
    this.#free = false;
    if (this.#isExpired) await this.#renew().then(() => this.#source(), () => {});
    if (!audio.hasAttribute("src")) this.#source();
    await audio.play().catch(() => {});
  }

  pause() { this.#ui.audio.pause(); }

  #toggle() { if (this.#ui.audio.paused) this.play(); else this.pause(); }

  #emit(name, more = {}) {
    const detail = { id: this.#episode?.id ?? null, position: this.#now, duration: this.#duration, ...more };
    this.dispatchEvent(new CustomEvent(`podcast:${name}`, { detail, bubbles: true, composed: true }));
  }

  // --- Asking -------------------------------------------------------------------------------------

  get #isOwn() { return !this.hasAttribute("src"); }

  get #isForeign() { return new URL(this.#address("/")).origin !== location.origin; }

  #address(path) {
    const base = (this.getAttribute("api-base") ?? HOME).replace(/\/+$/, "");
    return new URL(path.startsWith("/") ? base + path : path, document.baseURI).href;
  }

  // In a hurry, when the page goes, it is by the token of the last request.
  async #ask(path, { headers, ...options } = {}, isHurried = false, isAgain = false) {
    if (!isHurried) {
      const token = this.#isOwn ? this.#token ?? (await this.#getToken?.()) : null;
      this.#headers = token ? { Authorization: `Token ${token}` } : {};
    }
    const credentials = this.#headers.Authorization || !this.#isOwn ? "omit" : "include";
    const answer = await fetch(this.#address(path), { cache: "no-store", credentials, ...options, headers: { ...this.#headers, ...headers } });
    if (answer.ok || answer.status === 304) return answer;
    // A token of now, where the last one has just ended.
    const mayRetry = this.#getToken && !this.#token && !isHurried && !isAgain;
    if (answer.status === 401 && mayRetry) return this.#ask(path, { headers, ...options }, false, true);
    throw Object.assign(new Error(answer.status), { status: answer.status, body: await answer.json().catch(() => ({})) });
  }

  // One load for all that is set in one go. In a page of another origin the cookie does not count:
  // there the token comes in a moment.
  #again() {
    if (!this.#life) return;
    const turn = ++this.#turn;
    this.#tag = null;
    this.#stale = true;
    const load = () => { if (turn === this.#turn && this.#life) this.#load(); };
    if (this.#isOwn && this.#isForeign && !this.#token && !this.#getToken) setTimeout(load, TOKEN_MS);
    else queueMicrotask(load);
  }

  async #load() {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    this.#asked = Date.now();
    try {
      const found = await this.#find();
      if (turn !== this.#turn) return;
      this.#stale = false;
      if (found) this.#settle(found);
      else this.#notice();
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#stale = this.#wish = false;
      this.#fail(error);
    }
    this.#poll();
  }

  // What there is; nothing when it is as it was.
  async #find() {
    const [src, id] = [this.getAttribute("src"), this.getAttribute("episode")];
    if (src || id) {
      const path = src || `/api/dailycast/episodes/${encodeURIComponent(id)}/`;
      return { podcast: await (await this.#ask(path)).json() };
    }
    const answer = await this.#ask("/api/dailycast/today/", { headers: this.#tag ? { "If-None-Match": this.#tag } : {} });
    if (answer.status === 304) return null;
    this.#tag = answer.headers.get("ETag");
    return answer.json();
  }

  #settle({ status, late, podcast, latest, next_available_at }) {
    const was = this.#state;
    if (podcast) this.#state = "ready";
    else this.#state = { "coming tomorrow": "tomorrow", failed: "missed" }[status] ?? (late ? "late" : "making");
    if (was !== this.#state) this.#wait = 0;
    this.#againAt = Date.parse(next_available_at) || 0;
    const episode = podcast ?? latest;
    if (episode) episode.key ??= episode.id ?? this.getAttribute("src");
    const isNew = podcast && WAITING.includes(was);
    if (isNew) this.#emit("ready", { id: podcast.id });
    const isOther = this.#episode && podcast && podcast.key !== this.#episode.key;
    if (isOther && was !== "ready" && !this.#ui.audio.paused) {
      this.#next = podcast;
      return this.#tell("ready", "play");
    }
    this.#tell(podcast ? null : this.#state, this.#state === "tomorrow" ? "make" : null);
    this.#show(episode ?? null);
    if (isNew) this.#say("ready");
  }

  #fail(error) {
    const state = error.status === 401 ? "login" : [404, 410].includes(error.status) ? "gone" : "away";
    if (error instanceof TypeError && this.#isForeign && !hasWarned) {
      hasWarned = true;
      console.warn(`<daily-podcast>: no answer of ${this.#address("/")} could be read. If it is up: does its http.cors_origins name ${location.origin}?`);
    }
    this.#emit("error", { reason: state });
    // What plays goes on.
    if (state === "away" && this.#episode && !this.#ui.audio.paused) return;
    this.#state = state;
    if (state !== "away") this.#show(null);
    if (state !== "gone") this.#tell(state, "retry");
    else this.#tell(state, this.#isOwn && this.hasAttribute("episode") ? "today" : null);
  }

  #poll() {
    const [first, most] = POLLS[this.#state] ?? [];
    if (!first || !this.#life) return;
    this.#wait = Math.min(this.#wait ? this.#wait * 1.5 : first, most);
    this.#timer = setTimeout(() => { if (document.hidden) this.#asked = 0; else this.#load(); }, this.#wait);
  }

  // The page is looked at again: perhaps it is another day.
  #seen() {
    if (document.hidden) return this.#save(true);
    const isOld = Date.now() - this.#asked > 60_000;
    const mayChange = this.#ui.audio.paused && this.#isOwn && !this.hasAttribute("episode");
    // Or it was time to ask while nobody looked.
    if (!this.#asked || (isOld && mayChange)) this.#load();
  }

  get #isExpired() { return Date.parse(this.#episode.audio_url_expires_at) < Date.now(); }

  // A fresh address of the same episode.
  async #renew() {
    const { id, key } = this.#episode;
    const fresh = await (await this.#ask(id ? `/api/dailycast/episodes/${id}/` : key)).json();
    if (this.#episode?.key !== key) throw new Error("another one");
    const { audio_url, audio_url_expires_at, download_url } = fresh;
    this.#episode = { ...this.#episode, audio_url, audio_url_expires_at, download_url };
    this.#describe();
  }

  // An address that has ended leads to a page of the store's.
  #download(event) {
    if (!this.#isExpired) return;
    event.preventDefault();
    this.#renew().then(() => location.assign(this.#episode.download_url), (error) => this.#refuse(error));
  }

  async #make() {
    try {
      const answer = await this.#ask("/api/dailycast/generate/", { method: "POST" });
      const body = await answer.json();
      // Something else is wanted meanwhile.
      if (this.#stale) return;
      // What is asked already was asked before this.
      this.#turn += 1;
      this.#settle(answer.status === 202 ? { status: "pending", latest: this.#episode } : body);
      this.#tag = null;
      clearTimeout(this.#timer);
      this.#poll();
    } catch (error) {
      const next = Date.parse(error.body?.next_available_at);
      if (error.status !== 429 || !next) return this.#refuse(error);
      this.#againAt = next;
      this.#notice();
    }
  }

  // --- Showing ------------------------------------------------------------------------------------

  get #lang() {
    const wished = [this.getAttribute("lang"), this.closest("[lang]")?.lang, ...(navigator.languages ?? [])];
    return wished.map((tag) => (tag ?? "").slice(0, 2).toLowerCase()).find((tag) => WORDS[tag]) ?? "en";
  }

  // Dates as the pages around write them.
  get #region() { return this.#lang === "en" ? "en-GB" : this.#lang; }

  get #words() { return WORDS[this.#lang]; }

  // All words again, in the language of now.
  #speak() {
    const [words, ui] = [this.#words, this.#ui];
    ui.card.lang = this.#lang;
    for (const name of ["script", "like", "share", "download"]) ui[name].lastElementChild.textContent = words[name];
    for (const name of ["back", "forward"]) ui[name].ariaLabel = ui[name].title = words[name];
    ui.seek.ariaLabel = words.seek;
    ui.speedname.textContent = words.speed;
    for (const option of ui.speed.options) option.text = `${Number(option.value).toLocaleString(this.#region)}×`;
    ui.text.ariaLabel = words.script;
    for (const time of ui.text.querySelectorAll("button")) time.ariaLabel = fill(words.at, { t: time.textContent });
    ui.link.ariaLabel = words.link;
    ui.open.textContent = words.open;
    ui.stop.textContent = words.stop;
    this.#linked(ui.link.value);
    this.#notice();
    this.#describe();
    this.#paint();
  }

  #tell(word, act = null) {
    this.#note = word && { word, act };
    this.#notice();
  }

  #notice() {
    const [words, ui] = [this.#words, this.#ui];
    const note = this.#note ?? (this.#state === "loading" ? { word: "loading" } : null);
    ui.card.classList.toggle("alone", !this.#episode);
    ui.card.classList.toggle("busy", ["loading", "making"].includes(note?.word));
    ui.note.hidden = !note;
    if (!note) return;
    const isTooSoon = note.act === "make" && this.#againAt > Date.now();
    const said = [words[note.word]];
    if (WAITING.includes(note.word) && this.#episode) said.push(words.latest);
    if (isTooSoon) said.push(fill(words.again, { t: this.#date(this.#againAt, { weekday: "long", hour: "numeric", minute: "2-digit" }) }));
    const text = said.join(this.#lang === "ja" ? "" : " ");
    if (ui.said.textContent !== text) ui.said.textContent = text;
    ui.act.hidden = !note.act || isTooSoon;
    ui.act.textContent = words[note.act] ?? "";
  }

  // A word about what was just done, until something else is.
  #say(word) { this.#ui.live.textContent = word && this.#words[word]; }

  // What was asked for is refused. Who is not known any more can log in.
  #refuse(error) {
    if (error?.status !== 401) return this.#say("failed");
    this.#tell("login", "retry");
    this.#emit("error", { reason: "login" });
  }

  #show(episode) {
    const ui = this.#ui;
    if (!episode || episode.key !== this.#episode?.key) {
      this.#say("");
      this.#save(true);
      ui.audio.removeAttribute("src");
      ui.audio.load();
      this.#episode = episode;
      this.#next = this.#times = null;
      this.#current = -1;
      this.#open("script", ui.text, false);
      this.#open("share", ui.sharing, false);
      ui.text.replaceChildren();
      if (episode) this.#pending = this.#start(episode);
    } else {
      const { audio_url, audio_url_expires_at } = ui.audio.hasAttribute("src") ? this.#episode : episode;
      this.#episode = { ...episode, audio_url, audio_url_expires_at };
      this.#catchUp();
    }
    ui.head.hidden = ui.deck.hidden = ui.actions.hidden = !episode;
    ui.like.hidden = ui.share.hidden = !this.#isOwn;
    this.#notice();
    this.#describe();
    this.#paint();
    if (this.#wish && episode) this.play();
  }

  // Shows a panel, or hides it, and says so at its button.
  #open(button, panel, isOpen = panel.hidden) {
    panel.hidden = !isOpen;
    this.#ui[button].ariaExpanded = String(isOpen);
  }

  #date(time, shape) {
    const date = new Date(time);
    return Number.isNaN(+date) ? "" : date.toLocaleString(this.#region, shape);
  }

  #describe() {
    const [episode, ui, words] = [this.#episode, this.#ui, this.#words];
    if (!episode) return;
    const date = this.#date(`${episode.date}T12:00:00`, { weekday: "long", day: "numeric", month: "long" });
    const length = episode.duration ? fill(words.min, { n: Math.max(1, Math.round(episode.duration / 60)) }) : "";
    ui.meta.textContent = [date, length].filter(Boolean).join(" · ");
    ui.title.textContent = episode.title || words.untitled;
    ui.topic.textContent = episode.topic ?? "";
    ui.topic.hidden = !episode.topic || episode.topic === episode.title;
    for (const part of [ui.title, ui.topic, ui.text]) part.lang = episode.language ?? "";
    ui.like.ariaPressed = String(Boolean(episode.liked));
    ui.download.href = episode.download_url;
  }

  get #duration() {
    const { duration } = this.#ui.audio;
    return Number.isFinite(duration) && duration > 0 ? duration : this.#episode?.duration ?? 0;
  }

  get #now() { return this.#pending ?? this.#ui.audio.currentTime; }

  // Where the audio is.
  #paint() {
    const [ui, words, now, all] = [this.#ui, this.#words, this.#now, this.#duration];
    const isOn = !ui.audio.paused;
    ui.card.classList.toggle("on", isOn);
    ui.play.ariaLabel = ui.play.title = isOn ? words.pause : words.play;
    ui.seek.max = Math.ceil(all) || 1;
    if (!ui.seek.matches(":active")) ui.seek.value = now;
    ui.seek.style.setProperty("--fill", `${all ? Math.min(100, (100 * ui.seek.value) / all) : 0}%`);
    ui.seek.ariaValueText = fill(words.of, { a: clock(now), b: clock(all) });
    ui.now.textContent = clock(now);
    ui.total.textContent = clock(all);
    this.#follow();
  }

  // --- Playing ------------------------------------------------------------------------------------

  // Where to begin: where this browser stopped, unless another device was heard since.
  #start(episode) {
    const told = episode.position ?? 0;
    const here = kept.get(episode.key);
    const isHere = here && Math.abs(here.base - told) < 1;
    const at = isHere ? here.at : told;
    this.#saved = told;
    this.#sent = null;
    this.#moved = false;
    if (isHere && this.#isOwn) this.#send(episode, at);
    return episode.duration && at > episode.duration - OVER_S ? 0 : at;
  }

  // Goes to where another device stopped since, unless it is this one that was heard last.
  #catchUp() {
    const told = this.#episode.position ?? 0;
    const isNews = this.#asked > this.#savedAt && this.#sent === null && Math.abs(told - this.#saved) >= 0.5;
    if (isNews && this.#ui.audio.paused) this.#go(this.#start(this.#episode));
  }

  #source() {
    const { audio, speed } = this.#ui;
    this.#pending = this.#now;
    audio.src = this.#episode.audio_url;
    audio.defaultPlaybackRate = audio.playbackRate = Number(speed.value);
    if (this.#pending) audio.currentTime = this.#pending;
  }

  #go(at) {
    const { audio } = this.#ui;
    if (audio.readyState > 0) audio.currentTime = at;
    else this.#pending = at;
    this.#paint();
  }

  #seek(to) {
    this.#moved = true;
    this.#go(Math.max(0, Math.min(to, this.#duration || Infinity)));
  }

  // Keeps the place, here and on the server: one at a time, unless it is the last one.
  #save(isLast = false) {
    const at = Math.round(this.#now * 10) / 10;
    this.#savedAt = Date.now();
    if (!this.#episode || !this.#moved || Math.abs(at - this.#saved) < 0.5 || at === this.#sent) return;
    kept.set(this.#episode.key, { at, base: this.#saved });
    if (this.#isOwn && (isLast || this.#sent === null)) this.#send(this.#episode, at, isLast);
  }

  async #send({ id, key }, at, isLast = false) {
    const isHere = () => this.#episode?.key === key;
    const path = `/api/dailycast/episodes/${id}/position/`;
    const options = { method: "PUT", keepalive: isLast, body: JSON.stringify({ position: at }) };
    this.#sent = at;
    try {
      await this.#ask(path, { ...options, headers: { "Content-Type": "application/json" } }, isLast);
    } catch (error) {
      if (!isHere()) return;
      if (this.#sent === at) this.#sent = null;
      if (error.status !== 401) return;
      // What plays goes on; the place is kept here until somebody logs in.
      if (this.#ui.audio.paused) this.#refuse(error);
      else this.#tell("login", "retry");
      return;
    }
    const newer = kept.get(key)?.at ?? at;
    if (newer === at) kept.forget(key);
    else kept.set(key, { at: newer, base: at });
    if (!isHere()) return;
    this.#saved = at;
    this.#savedAt = Date.now();
    if (this.#sent === at) this.#sent = null;
    if (this.#sent === null && newer !== at) this.#save();
  }

  async #broken() {
    const { audio } = this.#ui;
    if (!audio.hasAttribute("src") || !this.#episode) return;
    const [at, { key }] = [this.#now, this.#episode];
    try {
      if (this.#renewed) throw new Error("twice");
      this.#renewed = true;
      this.#pending = at;
      await this.#renew();
      this.#source();
      await audio.play().catch(() => {});
    } catch {
      if (this.#episode?.key !== key) return;
      this.#pending = at;
      audio.removeAttribute("src");
      audio.load();
      this.#renewed = false;
      this.#tell("away", "retry");
      this.#emit("error", { reason: "audio" });
    }
  }

  // What the lock screen and the keys of a headset do.
  #session(isOn) {
    const session = navigator.mediaSession;
    if (!session) return;
    const by = (seconds) => this.#seek(this.#now + seconds);
    const acts = {
      play: () => this.play(),
      pause: () => this.pause(),
      seekbackward: ({ seekOffset }) => by(-(seekOffset || JUMP_S)),
      seekforward: ({ seekOffset }) => by(seekOffset || JUMP_S),
      seekto: ({ seekTime }) => this.#seek(seekTime),
    };
    for (const [name, act] of Object.entries(acts)) {
      try { session.setActionHandler(name, isOn ? act : null); } catch { /* not known here */ }
    }
    const { title, meta } = this.#ui;
    const artwork = [{ src: this.#address("/static/cover.png"), type: "image/png" }];
    session.metadata = isOn ? new MediaMetadata({ title: title.textContent, album: meta.textContent, artist: this.#words.untitled, artwork }) : null;
  }

  // --- The script ---------------------------------------------------------------------------------

  async #read() {
    const { text } = this.#ui;
    this.#open("script", text);
    this.#free = false;
    const episode = this.#episode;
    if (text.hidden || text.childElementCount) return this.#follow(true);
    const path = episode.id ? `/api/dailycast/episodes/${episode.id}/transcript.json` : new URL("transcript.json", this.#address(episode.key)).href;
    const told = await this.#ask(path).then((answer) => answer.json()).catch(() => null);
    if (this.#episode?.key !== episode.key || text.childElementCount) return;
    this.#times = told?.paragraphs?.length ? told.paragraphs : null;
    const paragraphs = this.#times ?? (episode.script ?? "").split(/\n\s*\n/).filter((one) => one.trim()).map((one) => ({ text: one.trim() }));
    const list = document.createElement("ol");
    for (const { start, text: words } of paragraphs) {
      const [item, paragraph] = [document.createElement("li"), document.createElement("p")];
      paragraph.textContent = words;
      if (this.#times) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = clock(start);
        button.ariaLabel = fill(this.#words.at, { t: clock(start) });
        button.lang = this.#lang;
        item.append(button);
      } else item.className = "plain";
      item.append(paragraph);
      list.append(item);
    }
    text.replaceChildren(list);
    this.#current = -1;
    this.#follow(true);
  }

  // Marks the paragraph that is heard, and keeps it in sight while nobody reads elsewhere.
  #follow(isNew = false) {
    const { text, audio } = this.#ui;
    if (!this.#times || text.hidden) return;
    const now = this.#now;
    const current = this.#times.findIndex(({ start, end }) => now >= start && now < end);
    if (current === this.#current && !isNew) return;
    this.#current = current;
    const items = text.firstElementChild.children;
    for (const item of text.querySelectorAll("[aria-current]")) item.removeAttribute("aria-current");
    if (current < 0) return;
    items[current].ariaCurrent = "true";
    if (!isNew && (audio.paused || this.#free)) return;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    text.scrollTo({ top: items[current].offsetTop - text.clientHeight / 4, behavior: isStill || isNew ? "auto" : "smooth" });
  }

  // --- Like and share -----------------------------------------------------------------------------

  // Changes something of this episode; nothing comes of it when that is refused.
  #change(what, method) {
    const path = `/api/dailycast/episodes/${this.#episode.id}/${what}/`;
    return this.#ask(path, { method }).catch((error) => this.#refuse(error));
  }

  async #like() {
    const episode = this.#episode;
    const set = (liked) => { episode.liked = liked; if (this.#episode === episode) this.#describe(); };
    const liked = !episode.liked;
    set(liked);
    if (await this.#change("like", liked ? "PUT" : "DELETE")) this.#emit("like", { liked });
    else set(!liked);
  }

  // Nothing is shared before it is said what that means.
  async #share() {
    this.#open("share", this.#ui.sharing);
    if (this.#ui.sharing.hidden) return;
    this.#linked("");
    if (this.#episode.shared) await this.#link();
  }

  #linked(url) {
    const [{ link, stop, copy }, words] = [this.#ui, this.#words];
    link.value = url;
    link.hidden = stop.hidden = !url;
    copy.textContent = url ? words.copy : words.create;
  }

  async #link() {
    const { key } = this.#episode;
    const { url } = (await (await this.#change("share", "POST"))?.json()) ?? {};
    if (!url || this.#episode?.key !== key) return;
    this.#episode.shared = true;
    this.#linked(url);
    this.#emit("share", { shared: true, url });
  }

  async #copy() {
    const { link, title } = this.#ui;
    if (!link.value) {
      await this.#link();
      if (link.value && navigator.share) return navigator.share({ title: title.textContent, url: link.value }).catch(() => {});
    }
    if (!link.value) return;
    link.select();
    await navigator.clipboard?.writeText(link.value).then(() => this.#say("copied"), () => {});
  }

  async #unshare() {
    if (!(await this.#change("share", "DELETE"))) return;
    this.#episode.shared = false;
    this.#open("share", this.#ui.sharing, false);
    this.#ui.share.focus();
    this.#say("stopped");
    this.#emit("share", { shared: false });
  }

  // --- Hands and ears -----------------------------------------------------------------------------

  #listen(root) {
    const { audio, seek, speed, text, link } = this.#ui;
    speed.append(...SPEEDS.map((value) => new Option("", value)));
    speed.value = SPEEDS.find((value) => value === kept.get("speed")) ?? 1;
    speed.addEventListener("change", () => {
      audio.defaultPlaybackRate = audio.playbackRate = Number(speed.value);
      kept.set("speed", Number(speed.value));
    });
    const acts = {
      play: () => this.#toggle(),
      back: () => this.#seek(this.#now - JUMP_S),
      forward: () => this.#seek(this.#now + JUMP_S),
      script: () => this.#read(),
      like: () => this.#like(),
      share: () => this.#share(),
      copy: () => this.#copy(),
      stop: () => this.#unshare(),
      act: () => this.#act(),
      download: (event) => this.#download(event),
    };
    for (const [name, act] of Object.entries(acts)) this.#ui[name].addEventListener("click", (event) => { this.#say(""); act(event); });
    seek.addEventListener("input", () => this.#seek(Number(seek.value)));
    link.addEventListener("focus", () => link.select());
    root.addEventListener("keydown", (event) => this.#press(event));
    for (const kind of ["wheel", "touchmove"]) text.addEventListener(kind, () => { this.#free = true; }, { passive: true });
    text.addEventListener("keydown", (event) => { if (/^(Arrow|Page|Home|End)/.test(event.key)) this.#free = true; });
    text.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      // Who marks words with the mouse does not want to jump.
      const isMarking = !event.target.closest("button") && String((root.getSelection?.() ?? getSelection())) !== "";
      if (!item || !this.#times || isMarking) return;
      this.#free = false;
      this.#seek(this.#times[[...item.parentElement.children].indexOf(item)].start + 0.01);
    });
    this.#hear(audio);
  }

  #hear(audio) {
    audio.addEventListener("loadedmetadata", () => {
      if (this.#pending !== null && Math.abs(audio.currentTime - this.#pending) > 0.3) audio.currentTime = this.#pending;
      this.#pending = null;
      this.#paint();
    });
    audio.addEventListener("play", () => {
      if (playing && playing !== this) playing.pause();
      playing = this;
      this.#savedAt = Date.now();
      this.#session(true);
      this.#paint();
      this.#emit("play");
    });
    audio.addEventListener("playing", () => { this.#moved = true; this.#renewed = false; });
    audio.addEventListener("seeked", () => this.#paint());
    audio.addEventListener("pause", () => { this.#paint(); this.#save(); this.#emit("pause"); });
    audio.addEventListener("error", () => this.#broken());
    audio.addEventListener("timeupdate", () => {
      if (this.#pending !== null) return;
      this.#paint();
      if (Math.floor(audio.currentTime) === this.#second) return;
      this.#second = Math.floor(audio.currentTime);
      this.#emit("progress");
      if (!audio.paused && Date.now() - this.#savedAt >= SAVE_EVERY_MS) this.#save();
    });
  }

  #act() {
    const { act, word } = this.#note ?? {};
    if (act === "make") return this.#make();
    if (act === "today") { this.removeAttribute("episode"); return this.play(); }
    if (act === "play" && this.#next) {
      const next = this.#next;
      this.#tell(null);
      this.#show(next);
      return this.play();
    }
    this.#tell(this.#episode ? null : "loading");
    this.#wait = 0;
    if (word !== "login" && this.#state === "ready" && this.#episode) return this.play();
    this.#load();
  }

  #press(event) {
    const [{ key }, target] = [event, event.composedPath()[0]];
    const isBar = target.type === "range";
    const isTheirs = event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented || (!isBar && target.matches("select, input"));
    const isPress = key === " " && target.matches("button, a");
    const isScroll = key.startsWith("Arrow") && this.#ui.text.contains(target);
    if (!this.#episode || isTheirs || isPress || isScroll) return;
    const steps = { j: -JUMP_S, l: JUMP_S, ArrowLeft: -STEP_S, ArrowRight: STEP_S };
    if (isBar) Object.assign(steps, { ArrowDown: -STEP_S, ArrowUp: STEP_S, PageDown: -PAGE_S, PageUp: PAGE_S });
    const acts = { " ": () => this.#toggle(), k: () => this.#toggle(), s: () => this.#read() };
    const name = key.length === 1 ? key.toLowerCase() : key;
    const act = steps[name] ? () => this.#seek(this.#now + steps[name]) : acts[name];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

// Where there is no browser, as on a server that renders pages, nothing is defined.
if (globalThis.customElements && !customElements.get("daily-podcast")) customElements.define("daily-podcast", DailyPodcast);
