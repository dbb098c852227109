"""Names of the people who write in the demo world, by language; all of them are invented."""

AUTHORS: dict[str, tuple[str, ...]] = {
    "pl": (
        "Bożena K.", "Tadek spod piątki", "wrobel_na_drucie", "Halina Mrozek", "Kacper Dudziak", "ania.z.wydm", "Pan Zbyszek",
        "Justyna Rak", "Olek B.", "ciotka_kryzys", "Maciej Sowiński", "rudy_102", "Ewelina P.", "niedospany", "Grażyna z Mokrej",
        "Witek Pawelec", "sezon_na_sliwki", "Iga Zarzycka",
    ),
    "ru": (
        "Марина Лосева", "дядя Гриша", "kot_v_meshke", "Тимур А.", "Светлана Пчёлкина", "Игорь из пятого", "настя_с_севера",
        "Павел Дроздов", "Бабушка Тоня", "vetroduy", "Лена Ершова", "Артём К.", "не_спрашивай", "Ольга Мятлева", "Руслан Ш.",
        "полдник", "Вера Сомова", "yuzhny_bereg",
    ),
    "tr": (
        "Emre Ç.", "balkondaki kedi", "Sevgi Toprak", "Hüseyin abi", "nar_taneleri", "Derya Akıncı", "Okan B.", "pazartesi77",
        "Gülşen Y.", "Tolga Demirbağ", "cay_var_mi", "Zeynep Uslu", "Mert K.", "kuzeyli", "Ayten teyze", "Barış Özgün", "simitci42",
        "Elif Koru",
    ),
    "en": (
        "Maggie Thorne", "dontaskdave", "Priya R.", "Callum F.", "tea_at_nine", "Ruth Okello", "the_other_ian", "Siobhan K.",
        "Leon Marsh", "grumpy_in_leeds", "Hattie B.", "Jonah Pike", "biscuit_tin", "Moira Dell", "Sam W.", "northbound88", "Ada Finch",
        "Keith from No. 9",
    ),
    "de": (
        "Gisela H.", "Torben Ahlers", "kaffeetante", "Mirko S.", "Annegret Lohse", "der_untermieter", "Jannis Krug", "Heike B.",
        "zugverpasst", "Volker Tamm", "Lina Petri", "regenrinne", "Ulf K.", "Sabine Wörner", "montagskind", "Cem A.", "Edda Roth",
        "nachtschicht3",
    ),
    "es": (
        "Maruja P.", "el_del_quinto", "Iván Cordero", "Lola Serrat", "sinsiesta", "Nacho B.", "Rocío Alba", "tortilla_con",
        "Paco el vecino", "Inés Quiroga", "Martín L.", "la_de_siempre", "Berta Sanz", "cafeconhielo", "Álvaro M.", "Remedios C.",
        "domingo_gris", "Teo Vidal",
    ),
}  # fmt: skip
