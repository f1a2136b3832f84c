package holidays

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// span is that of the tests: 2025 to 2031.
func span() (from, to time.Time) { return Span(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)) }

// calendar wraps events, one property per line, in what is always there.
func calendar(events ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\n" + strings.TrimSpace(e) + "\nEND:VEVENT\n")
	}
	b.WriteString("END:VCALENDAR\n")
	return b.String()
}

// texts writes days as 2026-09-23 National Day.
func texts(days []Day) []string {
	var all []string
	for _, d := range days {
		all = append(all, strings.TrimSpace(d.Date.Format(time.DateOnly)+" "+d.Name))
	}
	return all
}

func TestAllDayEventsAreClosedDates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		src   string
		want  []string
		timed int
	}{
		{name: "one date", src: calendar("UID:1\nDTSTART;VALUE=DATE:20260923\nSUMMARY:National Day"), want: []string{"2026-09-23 National Day"}},
		{name: "CRLF", src: strings.ReplaceAll(calendar("DTSTART;VALUE=DATE:20260923\nSUMMARY:National Day"), "\n", "\r\n"), want: []string{"2026-09-23 National Day"}},
		{name: "a byte order mark", src: "\ufeff" + calendar("DTSTART;VALUE=DATE:20260923"), want: []string{"2026-09-23"}},
		{name: "folded lines", src: strings.ReplaceAll(calendar("DTSTART;VAL\n UE=DATE:2026\n\t0923\nSUMMARY:Natio\n nal Day"), "\n", "\r\n"), want: []string{"2026-09-23 National Day"}},
		{name: "folded within a letter", src: calendar("DTSTART;VALUE=DATE:20260923\nSUMMARY:Gr\xc3\n \xbcndung"), want: []string{"2026-09-23 Gründung"}},
		{name: "all in small letters", src: strings.ToLower(calendar("DTSTART;VALUE=DATE:20260923")), want: []string{"2026-09-23"}},
		{name: "a property in small letters", src: calendar("dtstart;value=date:20260923\nsummary:Day"), want: []string{"2026-09-23 Day"}},
		{name: "a date without VALUE", src: calendar("DTSTART:20260923"), want: []string{"2026-09-23"}},
		{name: "DTEND is the day after", src: calendar("DTSTART;VALUE=DATE:20260320\nDTEND;VALUE=DATE:20260323\nSUMMARY:Eid"), want: []string{"2026-03-20 Eid", "2026-03-21 Eid", "2026-03-22 Eid"}},
		{name: "DTEND on the same day", src: calendar("DTSTART;VALUE=DATE:20260320\nDTEND;VALUE=DATE:20260320"), want: []string{"2026-03-20"}},
		{name: "DURATION", src: calendar("DTSTART;VALUE=DATE:20260320\nDURATION:P2D"), want: []string{"2026-03-20", "2026-03-21"}},
		{name: "a week of it", src: calendar("DTSTART;VALUE=DATE:20301229\nDURATION:P1W"), want: []string{"2030-12-29", "2030-12-30", "2030-12-31", "2031-01-01", "2031-01-02", "2031-01-03", "2031-01-04"}},
		{name: "it reaches into the span", src: calendar("DTSTART;VALUE=DATE:20241230\nDURATION:P4D"), want: []string{"2025-01-01", "2025-01-02"}},
		{name: "it reaches out of it", src: calendar("DTSTART;VALUE=DATE:20311231\nDURATION:P4D"), want: []string{"2031-12-31"}},
		{name: "outside the span", src: calendar("DTSTART;VALUE=DATE:20241231", "DTSTART;VALUE=DATE:20320101"), want: nil},
		{name: "timed events are left out and counted", src: calendar("DTSTART:20260923T090000Z", "DTSTART;TZID=Asia/Riyadh:20260923T090000", "DTSTART;VALUE=DATE:20260924"), want: []string{"2026-09-24"}, timed: 2},
		{name: "cancelled", src: calendar("DTSTART;VALUE=DATE:20260923\nSTATUS:CANCELLED", "DTSTART;VALUE=DATE:20260924\nSTATUS:TENTATIVE"), want: []string{"2026-09-24"}},
		{name: "free meanwhile is a holiday all the same", src: calendar("DTSTART;VALUE=DATE:20260923\nTRANSP:TRANSPARENT"), want: []string{"2026-09-23"}},
		{name: "two of one date", src: calendar("DTSTART;VALUE=DATE:20260923\nSUMMARY:B", "DTSTART;VALUE=DATE:20260923\nSUMMARY:A", "DTSTART;VALUE=DATE:20260923"), want: []string{"2026-09-23 A, B"}},
		{name: "a name with escapes", src: calendar(`DTSTART;VALUE=DATE:20260923` + "\n" + `SUMMARY:Day\, observed\nby all\; really`), want: []string{"2026-09-23 Day, observed by all; really"}},
		{name: "a name that lacks them", src: calendar("DTSTART;VALUE=DATE:20260923\nSUMMARY:Day, observed \\x \x1b[31m\u202e!"), want: []string{"2026-09-23 Day, observed \\x [31m !"}},
		{name: "a name in another language", src: calendar("DTSTART;VALUE=DATE:20260923\nSUMMARY;LANGUAGE=ar:اليوم الوطني"), want: []string{"2026-09-23 اليوم الوطني"}},
		{name: "two calendars in one file", src: calendar("DTSTART;VALUE=DATE:20260923") + calendar("DTSTART;VALUE=DATE:20260924"), want: []string{"2026-09-23", "2026-09-24"}},
		{name: "other components", src: strings.Replace(calendar("DTSTART;VALUE=DATE:20260923\nBEGIN:VALARM\nTRIGGER:-PT1H\nEND:VALARM"), "BEGIN:VEVENT", "BEGIN:VTIMEZONE\nTZID:X\nBEGIN:STANDARD\nDTSTART:19701025T030000\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VTODO\nDTSTART;VALUE=DATE:20260101\nEND:VTODO\nBEGIN:VEVENT", 1), want: []string{"2026-09-23"}},
		{name: "no event", src: calendar(), want: nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, to := span()
			got, err := Parse([]byte(tt.src), from, to)
			if err != nil || !slices.Equal(texts(got.Days), tt.want) || got.Timed != tt.timed {
				t.Errorf("Parse = %q, %d timed, %v; want %q, %d", texts(got.Days), got.Timed, err, tt.want, tt.timed)
			}
		})
	}
}

func TestRecurrencesAreWorkedOut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		events []string
		want   string // dates, without their dashes
	}{
		{"every year", []string{"DTSTART;VALUE=DATE:19320923\nRRULE:FREQ=YEARLY"}, "20250923 20260923 20270923 20280923 20290923 20300923 20310923"},
		{"every year from before the library's 290 years", []string{"DTSTART;VALUE=DATE:17000923\nRRULE:FREQ=YEARLY"}, "20250923 20260923 20270923 20280923 20290923 20300923 20310923"},
		{"29 February is in leap years", []string{"DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY"}, "20280229"},
		{"the fourth Thursday in November", []string{"DTSTART;VALUE=DATE:19701126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;UNTIL=20271231"}, "20251127 20261126 20271125"},
		{"the last Monday in May", []string{"DTSTART;VALUE=DATE:19710531\nRRULE:FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO;UNTIL=20270101"}, "20250526 20260525"},
		{"the weekday after the first of January", []string{"DTSTART;VALUE=DATE:20250101\nRRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1;COUNT=3"}, "20250101 20260101 20270101"},
		{"COUNT counts from the start", []string{"DTSTART;VALUE=DATE:20230923\nRRULE:FREQ=YEARLY;COUNT=4"}, "20250923 20260923"},
		{"UNTIL is included", []string{"DTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;UNTIL=20260923"}, "20250923 20260923"},
		{"every other year, with a last semicolon", []string{"DTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;INTERVAL=2;UNTIL=20290101T000000Z;"}, "20250923 20270923"},
		{"every month, on days that it has", []string{"DTSTART;VALUE=DATE:20260131\nRRULE:FREQ=MONTHLY;COUNT=3"}, "20260131 20260331 20260531"},
		{"every week, several days each", []string{"DTSTART;VALUE=DATE:20260303\nDTEND;VALUE=DATE:20260305\nRRULE:FREQ=WEEKLY;COUNT=2"}, "20260303 20260304 20260310 20260311"},
		{"parts of a day are ignored", []string{"DTSTART;VALUE=DATE:20260303\nRRULE:FREQ=DAILY;COUNT=2;BYHOUR=9,10;BYMINUTE=0"}, "20260303 20260304"},
		{"EXDATE takes out", []string{"DTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=4\nEXDATE;VALUE=DATE:20260923,20270923"}, "20250923 20280923"},
		{"EXDATE with a time", []string{"DTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=2\nEXDATE;TZID=Asia/Riyadh:20260923T000000"}, "20250923"},
		{"several EXDATEs", []string{"DTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=3\nEXDATE;VALUE=DATE:20260923\nEXDATE;VALUE=DATE:20270923"}, "20250923"},
		{"RDATE adds", []string{"DTSTART;VALUE=DATE:20260320\nDURATION:P2D\nRDATE;VALUE=DATE:20270310,20280227\nRDATE;VALUE=DATE:20290214"}, "20260320 20260321 20270310 20270311 20280227 20280228 20290214 20290215"},
		{"RDATE beside a rule, twice the same", []string{"DTSTART;VALUE=DATE:20260923\nRRULE:FREQ=YEARLY;COUNT=2\nRDATE;VALUE=DATE:20270923,20270924"}, "20260923 20270923 20270924"},
		{"two rules", []string{"DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;COUNT=2\nRRULE:FREQ=MONTHLY;COUNT=2"}, "20260101 20260201 20270101"},
		{"an occurrence is moved", []string{
			"UID:a\nDTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=3",
			"UID:a\nRECURRENCE-ID;VALUE=DATE:20260923\nDTSTART;VALUE=DATE:20260924\nDURATION:P2D",
		}, "20250923 20260924 20260925 20270923"},
		{"its event may come first", []string{
			"UID:a\nRECURRENCE-ID;VALUE=DATE:20260923\nDTSTART;VALUE=DATE:20260924",
			"UID:a\nDTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=2",
		}, "20250923 20260924"},
		{"an occurrence is cancelled", []string{
			"UID:a\nDTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=3",
			"UID:a\nRECURRENCE-ID;VALUE=DATE:20260923\nDTSTART;VALUE=DATE:20260923\nSTATUS:CANCELLED",
		}, "20250923 20270923"},
		{"an occurrence has hours", []string{
			"UID:a\nDTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=3",
			"UID:a\nRECURRENCE-ID;VALUE=DATE:20260923\nDTSTART:20260923T090000Z",
		}, "20250923 20270923"},
		{"that of another series", []string{
			"UID:a\nDTSTART;VALUE=DATE:20250923\nRRULE:FREQ=YEARLY;COUNT=2",
			"UID:b\nRECURRENCE-ID;VALUE=DATE:20260923\nDTSTART;VALUE=DATE:20260101",
		}, "20250923 20260101 20260923"},
		{"the newest version counts", []string{
			"UID:a\nSEQUENCE:2\nDTSTART;VALUE=DATE:20260924", "UID:a\nSEQUENCE:1\nDTSTART;VALUE=DATE:20260923",
			"UID:b\nDTSTART;VALUE=DATE:20260925", "UID:b\nSEQUENCE:1\nSTATUS:CANCELLED\nDTSTART;VALUE=DATE:20260925",
		}, "20260924"},
		{"one UID for all, or none at all", []string{
			"UID:a\nDTSTART;VALUE=DATE:20260923", "UID:a\nDTSTART;VALUE=DATE:20260924", "SEQUENCE:1\nDTSTART;VALUE=DATE:20260925", "DTSTART;VALUE=DATE:20260926",
		}, "20260923 20260924 20260925 20260926"},
		{"a rule that never comes true", []string{"DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			from, to := span()
			got, err := Parse([]byte(calendar(tt.events...)), from, to)
			if all := strings.ReplaceAll(strings.Join(texts(got.Days), " "), "-", ""); err != nil || all != tt.want {
				t.Errorf("Parse = %s, %v; want %s", all, err, tt.want)
			}
		})
	}
}

// TestWhatIsNoFeedOfHolidays has an error that says what is wrong, and quotes
// nothing.
func TestWhatIsNoFeedOfHolidays(t *testing.T) {
	t.Parallel()
	const date = "DTSTART;VALUE=DATE:20260923\n"
	var rules, days []string
	for i := range maxRules + 1 {
		rules = append(rules, date+"RRULE:FREQ=YEARLY")
		days = append(days, fmt.Sprintf("DTSTART;VALUE=DATE:%s\nDURATION:P2D", time.Date(2026, 1, 1+2*i, 0, 0, 0, 0, time.UTC).Format(dateForm)))
	}
	tests := map[string]struct{ src, want string }{
		"nothing":                   {"", "does not begin with BEGIN:VCALENDAR"},
		"a login page":              {"<!DOCTYPE html><title>secret</title>", "does not begin with BEGIN:VCALENDAR"},
		"another component":         {"BEGIN:VCARD\nFN:secret\nEND:VCARD\n", "does not begin with BEGIN:VCALENDAR"},
		"garbage within":            {calendar(date + "secret"), "a line without a name and a colon"},
		"a line without a name":     {calendar(date + ":secret"), "a line without a name and a colon"},
		"an endless name":           {calendar(date + "X-" + strings.Repeat("S", maxHead) + ":secret"), "a line without a name and a colon"},
		"a quote without an end":    {calendar(date + `X;A="secret:secret`), "a line without a name and a colon"},
		"a parameter without value": {calendar(date + "X;secret:secret"), "is not iCalendar"},
		"cut off":                   {calendar(date)[:60], "cut off"},
		"an end too many":           {calendar(date) + "END:VCALENDAR\nBEGIN:VCALENDAR\n", "end before they begin"},
		"ends that cross":           {strings.Replace(calendar(date), "END:VEVENT", "END:VTODO", 1), "is not iCalendar"},
		"nested too deeply":         {strings.Repeat("BEGIN:VCALENDAR\n", 10) + strings.Repeat("END:VCALENDAR\n", 10), "nested too deeply"},
		"too large":                 {strings.Repeat("x", MaxBytes+1), "larger than 5 MB"},
		"no DTSTART":                {calendar("SUMMARY:secret"), "event 1: must have a DTSTART"},
		"a date that is none":       {calendar(date, "DTSTART;VALUE=DATE:20260231"), "event 2: DTSTART must be a date"},
		"a year that is none":       {calendar("DTSTART;VALUE=DATE:2026"), "DTSTART must be a date"},
		"DTEND before DTSTART":      {calendar(date + "DTEND;VALUE=DATE:20260922"), "DTEND must be"},
		"DTEND with a time":         {calendar(date + "DTEND:20260924T000000Z"), "DTEND must be"},
		"hours of DURATION":         {calendar(date + "DURATION:PT8H"), "DURATION must be whole days"},
		"no DURATION":               {calendar(date + "DURATION:P0D"), "DURATION must be whole days"},
		"DURATION in words":         {calendar(date + "DURATION:secret"), "DURATION must be whole days"},
		"longer than a year":        {calendar(date + "DTEND;VALUE=DATE:20281231"), "no longer than 366 days"},
		"an unknown rule":           {calendar(date + "RRULE:FREQ=SECRETLY"), "RRULE cannot be read"},
		"no frequency":              {calendar(date + "RRULE:COUNT=2"), "RRULE cannot be read"},
		"an endless rule":           {calendar(date + "RRULE:FREQ=YEARLY;BYDAY=MO" + strings.Repeat(",MO", 200)), "RRULE cannot be read"},
		"an unknown part":           {calendar(date + "RRULE:FREQ=YEARLY;BYEASTER=1"), "RRULE cannot be read"},
		"every hour":                {calendar(date + "RRULE:FREQ=HOURLY"), "more than once a day"},
		"an interval of ages":       {calendar(date + "RRULE:FREQ=YEARLY;INTERVAL=9223372036854775807"), "INTERVAL from 1 to 1000"},
		"a rule of long ago":        {calendar("DTSTART;VALUE=DATE:15991231\nRRULE:FREQ=YEARLY"), "before 1600"},
		"a month out of range":      {calendar(date + "RRULE:FREQ=YEARLY;BYMONTH=13"), "a part out of its range"},
		"the 53rd Monday":           {calendar(date + "RRULE:FREQ=MONTHLY;BYDAY=53MO"), "a part out of its range"},
		"EXRULE":                    {calendar(date + "EXRULE:FREQ=YEARLY"), "EXRULE is not understood"},
		"EXDATE in words":           {calendar(date + "EXDATE;VALUE=DATE:secret"), "EXDATE must be dates"},
		"RDATE as a period":         {calendar(date + "RDATE;VALUE=PERIOD:secret/P1D"), "RDATE must be dates"},
		"RECURRENCE-ID in words":    {calendar(date + "RECURRENCE-ID:secret"), "RECURRENCE-ID must be a date"},
		"and all after it":          {calendar(date + "RECURRENCE-ID;VALUE=DATE;RANGE=THISANDFUTURE:20260923"), "RANGE is not understood"},
		"rules without number":      {calendar(rules...), "more than 500 recurrence rules"},
		"every day closed":          {calendar(date + "RRULE:FREQ=DAILY"), "more than 1000 holidays from 2025 to 2031"},
		"too many days":             {calendar(days...), "more than 1000 holidays"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := span()
			got, err := Parse([]byte(tt.src), from, to)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got.Days) > 0 {
				t.Errorf("Parse = %v, %v; want an error with %q", texts(got.Days), err, tt.want)
			}
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "secret") {
				t.Errorf("the error quotes what was read: %v", err)
			}
		})
	}
}

// TestAPublishersFile is read as a whole: a sample in the form that public
// holiday feeds have.
func TestAPublishersFile(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/holidays.ics")
	if err != nil {
		t.Fatal(err)
	}
	from, to := span()
	got, err := Parse(src, from, to)
	if err != nil || got.Timed != 1 {
		t.Fatalf("Parse = %d timed, %v", got.Timed, err)
	}
	var of2026 []string
	for _, line := range texts(got.Days) {
		if strings.HasPrefix(line, "2026") {
			of2026 = append(of2026, line)
		}
	}
	want := []string{
		"2026-02-22 Founding Day", "2026-03-20 Eid al-Fitr, from the 29th of Ramadan", "2026-03-21 Eid al-Fitr, from the 29th of Ramadan",
		"2026-03-22 Eid al-Fitr, from the 29th of Ramadan", "2026-09-24 National Day (observed)", "2026-11-26 Thanksgiving",
	}
	if !slices.Equal(of2026, want) {
		t.Errorf("2026 = %q, want %q", of2026, want)
	}
}

func TestTheSpanIsWholeYears(t *testing.T) {
	t.Parallel()
	riyadh := time.FixedZone("Riyadh", 3*3600)
	for at, want := range map[time.Time]string{
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC):    "2025-01-01 2032-01-01",
		time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC): "2025-01-01 2032-01-01",
		time.Date(2027, 1, 1, 2, 0, 0, 0, riyadh):      "2025-01-01 2032-01-01",
	} {
		from, to := Span(at)
		if got := from.Format(time.DateOnly) + " " + to.Format(time.DateOnly); got != want {
			t.Errorf("Span(%s) = %s, want %s", at, got, want)
		}
	}
}

func FuzzICalendar(f *testing.F) {
	sample, err := os.ReadFile("testdata/holidays.ics")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	for _, e := range []string{
		"DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY", "DTSTART:20260923T090000Z\nRRULE:FREQ=SECONDLY",
		"DTSTART;VALUE=DATE:20260923\nRRULE:FREQ=MONTHLY;BYDAY=-53MO;BYSETPOS=-1", "DTSTART;X=\"a:b\",c;VALUE=DATE:20260923\nDURATION:-P1W",
		"UID:a\nRECURRENCE-ID;VALUE=DATE:20260923\nDTSTART;VALUE=DATE:20260924\nEXDATE:20260101,20260102\nRDATE:20260103",
		"DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;BYWEEKNO=-53,53;BYYEARDAY=-366,366;WKST=SU;BYMONTHDAY=-31",
	} {
		f.Add([]byte(calendar(e)))
	}
	from, to := span()
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := Parse(src, from, to)
		if err != nil {
			if len(got.Days) > 0 || len(err.Error()) > 200 {
				t.Errorf("%d days beside %v", len(got.Days), err)
			}
			return
		}
		if len(got.Days) > MaxDays {
			t.Errorf("%d days", len(got.Days))
		}
		for i, d := range got.Days {
			if d.Date.Before(from) || !d.Date.Before(to) || i > 0 && !got.Days[i-1].Date.Before(d.Date) || d.Date.Truncate(24*time.Hour) != d.Date {
				t.Errorf("day %d is %s", i, d.Date)
			}
			if strings.ContainsFunc(d.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("name %q", d.Name)
			}
		}
	})
}
