// Term bases: for each English term the one German and the one Japanese word of catalogues and help, and words that are wrong for it.

/** A word, as a stem that its inflections contain, and words that must not stand for the same term. */
interface Translation {
  readonly is: RegExp;
  readonly not?: RegExp;
}

export interface Term {
  readonly english: RegExp;
  readonly de: Translation;
  readonly ja: Translation;
}

/** The words of Node-RED's own editor come first; a deploy is the exception, because its German “Übernahme” is a takeover, too. */
export const terms: readonly Term[] = [
  // ── Data ──
  {
    english: /\bentr(y|ies)\b/i,
    de: { is: /Einträge?|Eintrag/ },
    ja: { is: /エントリ/, not: /エントリー|項目/ },
  },
  { english: /\bsegments?\b/i, de: { is: /Segment/i }, ja: { is: /セグメント/ } },
  { english: /\bmembers?\b(?! URL)/i, de: { is: /Mitglied/ }, ja: { is: /メンバー/, not: /会員|加入者/ } },
  {
    english: /\baccounts?\b/i,
    de: { is: /Kont(o|en)/, not: /Account/ },
    ja: { is: /アカウント/, not: /口座/ },
  },
  { english: /(?<!\bsystem )\bmessages?\b/i, de: { is: /nachricht/i }, ja: { is: /メッセージ/ } },
  { english: /\bsystem message\b/i, de: { is: /Systemmeldung/ }, ja: { is: /システムメッセージ/ } },
  { english: /\busers\b/i, de: { is: /Nutzer/ }, ja: { is: /ユーザー|__users__/, not: /ユーザ(?!ー)/ } },
  { english: /\buser ids?\b/i, de: { is: /Nutzer-ID/, not: /ID des Nutzers/ }, ja: { is: /ユーザーID/ } },
  { english: /\bID type\b/i, de: { is: /ID-Art/ }, ja: { is: /IDの種類/ } },
  { english: /\bdevices?\b/i, de: { is: /gerät/i }, ja: { is: /デバイス/, not: /端末/ } },
  { english: /\btracking\b/i, de: { is: /Tracking/ }, ja: { is: /トラッキング/, not: /追跡/ } },
  {
    english: /\bcustom domains?\b/i,
    de: { is: /eigenen? Domain/i },
    ja: { is: /独自ドメイン/, not: /カスタム/ },
  },
  {
    english: /\bmapped\b/i,
    de: { is: /zugeordnet/ },
    ja: { is: /マッピング済み|マッピングした/, not: /対応付け/ },
  },
  { english: /\badds\b(?! an? )/i, de: { is: /Hinzufüg/i }, ja: { is: /追加/ } },
  { english: /\bremovals?\b/i, de: { is: /Entfernung/ }, ja: { is: /削除/, not: /除去/ } },
  { english: /\bmemberships?\b/i, de: { is: /Zugehörigkeit/ }, ja: { is: /所属/, not: /会員/ } },
  { english: /\bevent time\b/i, de: { is: /Ereigniszeit/ }, ja: { is: /イベント時刻/, not: /発生日時/ } },
  { english: /\bexpirations?\b/i, de: { is: /Abl[aä]uf/ }, ja: { is: /有効期間/, not: /有効期限|満了/ } },
  { english: /\bexpired\b/i, de: { is: /abgelaufen|liefen ab/i }, ja: { is: /期限切れ/, not: /満了/ } },
  { english: /\bforever\b/i, de: { is: /unbegrenzt/, not: /für immer/ }, ja: { is: /無期限/ } },
  { english: /\bTC strings?\b/i, de: { is: /TC-String/ }, ja: { is: /TC文字列/ } },
  {
    english: /\bconsent\b/i,
    de: { is: /Einwilligung/i, not: /Zustimmung/ },
    ja: { is: /同意/, not: /承諾/ },
  },
  { english: /\bvendors?\b/i, de: { is: /Anbieter|Vendor/ }, ja: { is: /ベンダー|Vendor/ } },
  { english: /\bpurposes\b/i, de: { is: /Zweck/ }, ja: { is: /目的/ } },
  { english: /(?<!TC )\bstrings?\b/i, de: { is: /Zeichenfolge/, not: /Zeichenkette/ }, ja: { is: /文字列/ } },
  { english: /\b(a|is|JSON|no) text\b/i, de: { is: /Text/ }, ja: { is: /文字列/, not: /テキスト/ } },
  { english: /\barrays?\b/i, de: { is: /Array/ }, ja: { is: /配列/ } },
  { english: /\bproperty\b/i, de: { is: /Eigenschaft/ }, ja: { is: /プロパティ/ } },
  { english: /\btime zone\b/i, de: { is: /Zeitzone/ }, ja: { is: /タイムゾーン/, not: /時間帯/ } },
  // ── Outcomes ──
  {
    english: /\bdeliver(ed|y|ies)\b/i,
    de: { is: /zugestellt|Zustellung/i, not: /geliefert/ },
    ja: { is: /送信完了/, not: /送信済み|配信|届/ },
  },
  {
    english: /^accepted$|_Accepted_|\bservice (has )?accepted\b/,
    de: { is: /angenommen/i, not: /akzeptiert/ },
    ja: { is: /受理/, not: /受け付け済み|受け付けた/ },
  },
  {
    english: /\b(instances|all) (may have )?accept(ed)?\b|\bentries are accepted\b/i,
    de: { is: /angenommen|nehmen/ },
    ja: { is: /受け付け/, not: /受理/ },
  },
  {
    english: /\brejected\b/i,
    de: { is: /abgelehnt/i, not: /zurückgewiesen|verweigert/ },
    ja: { is: /拒否/, not: /却下/ },
  },
  { english: /\breplaced\b/i, de: { is: /ersetzt/i }, ja: { is: /置き換え/ } },
  { english: /\binvalid\b/i, de: { is: /ungültig/i }, ja: { is: /無効/, not: /不正/ } },
  { english: /\binactive\b/i, de: { is: /inaktiv/i }, ja: { is: /非アクティブ/, not: /無効/ } },
  { english: /\bdisabled\b/i, de: { is: /deaktiviert/i, not: /gesperrt/ }, ja: { is: /無効化/ } },
  { english: /\bno effect\b/i, de: { is: /Wirkung/ }, ja: { is: /効果/, not: /反映/ } },
  { english: /\bfindings?\b/i, de: { is: /Befund/ }, ja: { is: /検出事項/, not: /所見/ } },
  { english: /\b(a|the|hourly) reports?\b|^report$/i, de: { is: /Bericht/ }, ja: { is: /レポート/ } },
  { english: /\busage statistics\b/i, de: { is: /Nutzungsstatistik/ }, ja: { is: /利用統計/ } },
  { english: /\bwarnings?\b/i, de: { is: /Warnung/ }, ja: { is: /警告/ } },
  { english: /\berrors?\b/i, de: { is: /Fehler/ }, ja: { is: /エラー/ } },
  // ── Sync ──
  { english: /\brows\b/i, de: { is: /Zeile/ }, ja: { is: /行/ } },
  {
    english: /\b(a|the|next|first|last|this|refused) run\b|\brun reports\b/i,
    de: { is: /Lauf|Läufe/ },
    ja: { is: /実行/, not: /ラン(?!ド)/ },
  },
  { english: /\brenew(s|ed|als?)?\b/i, de: { is: /erneuer/i, not: /auffrisch/i }, ja: { is: /更新/ } },
  // ── Queue ──
  {
    english: /\bqueues?\b/i,
    de: { is: /Warteschlange/i, not: /Queue/ },
    ja: { is: /キュー/, not: /待ち行列/ },
  },
  { english: /\bpending\b|\bqueued entries\b/i, de: { is: /wartend/i }, ja: { is: /待機/, not: /保留/ } },
  { english: /\bpurged?\b/i, de: { is: /(ge)?leer(t|en)/i }, ja: { is: /空に/ } },
  { english: /\bdiscard(s|ed)?\b/i, de: { is: /verw[eio]rf/i }, ja: { is: /破棄/ } },
  { english: /\beras(e|ed|ing)\b/i, de: { is: /lösch/i }, ja: { is: /消去/ } },
  { english: /\bpaused?\b/i, de: { is: /pausier/i, not: /angehalten|Anhalten/ }, ja: { is: /一時停止/ } },
  { english: /\bresume\b/i, de: { is: /fort/i }, ja: { is: /再開/ } },
  { english: /\bretry\b|\bretrying\b|\bretries\b/i, de: { is: /erneut|wiederholt/ }, ja: { is: /再試行/ } },
  { english: /\bon disk\b/i, de: { is: /Datenträger/, not: /Festplatte/ }, ja: { is: /ディスク/ } },
  { english: /\bin memory\b/i, de: { is: /Arbeitsspeicher|RAM/ }, ja: { is: /メモリ(?!ー)/ } },
  { english: /\bbacklog\b/i, de: { is: /Rückstau/ }, ja: { is: /滞留/ } },
  { english: /\bencrypt(s|ed|ion)?\b/i, de: { is: /verschlüssel/i }, ja: { is: /暗号化/ } },
  // ── Limits ──
  {
    english: /\blimits?\b(?!ed)/i,
    de: { is: /Limit|begrenzt/i, not: /Grenzwert/ },
    ja: { is: /制限/, not: /上限/ },
  },
  { english: /\bcaps\b/i, de: { is: /Obergrenze/ }, ja: { is: /上限/ } },
  { english: /\bquota\b/i, de: { is: /Kontingent/ }, ja: { is: /クォータ/ } },
  { english: /\bposts\b/i, de: { is: /Aufruf/ }, ja: { is: /呼び出し|__posts__回/ } },
  {
    english: /\bposts in flight\b/i,
    de: { is: /Laufende Aufrufe/, not: /Offene/ },
    ja: { is: /同時呼び出し数/ },
  },
  {
    english: /\brequests?\b(?! (a|was) )/i,
    de: { is: /Anfrage/ },
    ja: { is: /要求|請求/, not: /リクエスト/ },
  },
  // ── Several instances ──
  { english: /\binstances?\b/i, de: { is: /Instanz/ }, ja: { is: /インスタンス/ } },
  { english: /\bactive (instance|one)\b/i, de: { is: /aktive/i }, ja: { is: /アクティブ/, not: /稼働/ } },
  {
    english: /\bstandby\b(?! server)/i,
    de: { is: /Bereitschaft|Standby-Server/ },
    ja: { is: /スタンバイ/, not: /待機系/ },
  },
  { english: /\btakes over\b/i, de: { is: /übernimmt/, not: /Deploy/ }, ja: { is: /引き継/ } },
  // ── Node-RED and the service ──
  {
    english: /\bdeploy(s|ed|ing)?\b/i,
    de: { is: /deploy/i, not: /übern[ao]mm?e|Übernahme/ },
    ja: { is: /デプロイ/, not: /配備|展開/ },
  },
  { english: /\bnodes?\b(?!-)/i, de: { is: /Node/, not: /Knoten/ }, ja: { is: /ノード|[Nn]ode/ } },
  { english: /\bsandbox\b/i, de: { is: /Sandbox/i }, ja: { is: /サンドボックス/ } },
  { english: /\benvironment\b/i, de: { is: /Umgebung/ }, ja: { is: /環境/ } },
  { english: /\bproduction\b/i, de: { is: /Produktion/i }, ja: { is: /本番/ } },
  {
    english: /\bcredentials\b/i,
    de: { is: /Anmeldedaten|Credentials/ },
    ja: { is: /認証情報/, not: /ログイン情報|資格/ },
  },
  {
    english: /\blogins?\b|\blog in\b/i,
    de: { is: /Anmeld|anmeld/, not: /Login/ },
    ja: { is: /ログイン/, not: /ログイン情報/ },
  },
  { english: /\bpermissions?\b/i, de: { is: /Berechtigung/, not: /\bRecht\b/ }, ja: { is: /権限|許可/ } },
  { english: /\bprox(y|ies)\b/i, de: { is: /Proxy/ }, ja: { is: /プロキシ/, not: /プロキシー/ } },
  { english: /\bpreview\b/i, de: { is: /Vorschau/ }, ja: { is: /プレビュー/ } },
  { english: /\bdry run\b/i, de: { is: /Testlauf/ }, ja: { is: /ドライラン/ } },
  { english: /\bcertificate\b/i, de: { is: /Zertifikat/ }, ja: { is: /証明書/ } },
  { english: /\bprivate key\b/i, de: { is: /privater? Schlüssel|privaten/i }, ja: { is: /秘密鍵/ } },
  { english: /\btab\b/i, de: { is: /Reiter/, not: /\bTab\b/ }, ja: { is: /タブ/ } },
  { english: /\bmachine(’s|'s)?\b/i, de: { is: /Rechner/, not: /Maschine/ }, ja: { is: /マシン/ } },
  { english: /\bdatabase\b/i, de: { is: /Datenbank/ }, ja: { is: /データベース/ } },
];

/** Never right, whatever the English says. */
export const never = {
  de: /Übernahme|\bjene[mnrs]?\b|für immer|Nutzerin/,
  ja: /受け付け済み|所見|満了|メモリー|ディレクトリー|エントリー|カスタムドメイン|端末|追跡/,
} as const;

const short = 'a status has at most 20 characters';
const code = 'the values of msg.control, which are not translated';

/** By language, node and key; each says less than the English does, and why it may. */
export const exceptions: Readonly<Record<string, string>> = {
  'de instant-audience-out status.leftBehind': short,
  'de instant-audience-out status.standbyAlone': short,
  'de instant-audience-out status.outbox_readonly': short,
  'de instant-audience-out status.outbox_encrypted': short,
  'de audience-usage status.read': short,
  'de instant-audience-out error.control_unknown': code,
  'ja instant-audience-out error.control_unknown': code,
  'de audience-sync error.control_unknown': code,
  'ja audience-sync error.control_unknown': code,
  'ja segment-builder segment-builder.example.property': 'one line; the picker above lists mapped ids',
  'de account help - [Authentication Service]': 'users who log in are Benutzer, not Nutzer',
};
