"""Names of months in dates of feeds, in the languages that are written about brands.

A name or a beginning of three letters that means different months in different languages (`lis`, `srp`) is left out;
English wins over others.
"""

_NAMES = """
en january february march april may june july august september october november december
de januar februar märz april mai juni juli august september oktober november dezember
at jänner feber maerz april mai juni juli august september oktober november dezember
fr janvier février mars avril mai juin juillet août septembre octobre novembre décembre
es enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
it gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
pt janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
nl januari februari maart april mei juni juli augustus september oktober november december
pl stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
pl2 styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień
ru января февраля марта апреля мая июня июля августа сентября октября ноября декабря
ru2 январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь
uk січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня
bg януари февруари март април май юни юли август септември октомври ноември декември
sr јануар фебруар март април мај јун јул август септембар октобар новембар децембар
cs ledna února března dubna května června července srpna září října listopadu prosince
sk januára februára marca apríla mája júna júla augusta septembra októbra novembra decembra
hu január február március április május június július augusztus szeptember október november december
ro ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie
tr ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık
el ιανουαρίου φεβρουαρίου μαρτίου απριλίου μαΐου ιουνίου ιουλίου αυγούστου σεπτεμβρίου οκτωβρίου νοεμβρίου δεκεμβρίου
sv januari februari mars april maj juni juli augusti september oktober november december
da januar februar marts april maj juni juli august september oktober november december
fi tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta marraskuuta joulukuuta
ar يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر
he ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר דצמבר
hi जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर
id januari februari maret april mei juni juli agustus september oktober november desember
"""
_SHORT = "jan feb mar apr may jun jul aug sep oct nov dec"


def _table() -> dict[str, int]:
    meanings: dict[str, set[int]] = {}
    for row in _NAMES.strip().splitlines():
        for number, name in enumerate(row.split()[1:], 1):
            for form in (name, name[:3], name[:4]):
                meanings.setdefault(form.casefold(), set()).add(number)
    table = {name: min(numbers) for name, numbers in meanings.items() if len(numbers) == 1}
    return table | {name: number for number, name in enumerate(_SHORT.split(), 1)}


_MONTHS = _table()


def month_number(name: str) -> int | None:
    """1 to 12 for a name of a month or its beginning of three or four letters."""
    folded = name.casefold().rstrip(".")
    return _MONTHS.get(folded) or _MONTHS.get(folded[:4] if len(folded) > 4 else folded) or _MONTHS.get(folded[:3])
