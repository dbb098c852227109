"""Names of time zones in dates of feeds, as hours east of UTC (RFC 822 and common practice)."""

ZONES = {
    "": 0.0, "z": 0.0, "ut": 0.0, "utc": 0.0, "gmt": 0.0, "wet": 0.0,
    "west": 1.0, "bst": 1.0, "cet": 1.0, "mez": 1.0, "met": 1.0,
    "cest": 2.0, "mesz": 2.0, "mest": 2.0, "eet": 2.0, "sast": 2.0,
    "eest": 3.0, "msk": 3.0, "trt": 3.0, "eat": 3.0, "fet": 3.0, "idt": 3.0, "msd": 4.0, "samt": 4.0, "gst": 4.0,
    "irst": 3.5, "pkt": 5.0, "yekt": 5.0, "ist": 5.5, "npt": 5.75, "omst": 6.0, "ict": 7.0, "wib": 7.0, "krat": 7.0,
    "hkt": 8.0, "sgt": 8.0, "myt": 8.0, "pht": 8.0, "awst": 8.0, "irkt": 8.0, "jst": 9.0, "kst": 9.0, "acst": 9.5,
    "aest": 10.0, "vlat": 10.0, "acdt": 10.5, "aedt": 11.0, "nzst": 12.0, "nzdt": 13.0,
    "brt": -3.0, "art": -3.0, "nst": -3.5, "ndt": -2.5, "ast": -4.0, "adt": -3.0,
    "edt": -4.0, "est": -5.0, "et": -5.0, "cdt": -5.0, "cst": -6.0, "ct": -6.0, "mdt": -6.0, "mst": -7.0, "mt": -7.0,
    "pdt": -7.0, "pst": -8.0, "pt": -8.0, "akdt": -8.0, "akst": -9.0, "hst": -10.0,
}  # fmt: skip
"""`ist` is India's: most of those who write it live there. `et`, `ct`, `mt`, `pt` are taken as standard time."""
