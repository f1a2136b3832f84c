package sla

// words say what a key of the policy document means: in the schema, where
// editors show them, and in docs/policy.md.
type words struct {
	means   string
	leftOut string // what counts without the key; empty: it has to be there
	example string // YAML; empty: its value is made of mappings, whose keys have examples
}

// schemaWords has each key of the policy document, by the struct and the key. A
// key that is missing here, or half told, fails Schema's test.
func schemaWords() map[string]words {
	all := map[string]words{}
	for _, part := range []map[string]words{calendarWords(), triggerWords(), routingWords(), configWords()} {
		for key, w := range part {
			all[key] = w
		}
	}
	return all
}

func calendarWords() map[string]words {
	return map[string]words{
		"Policy.max_age":            {"How old a source's received_at may be, at most ten years.", "7d", "36h"},
		"Policy.load_cap":           {"Live actions at which the holders of a role in a department have enough: the hospital's other holders come next, and with all at the cap the department's least loaded.", "no cap", "20"},
		"Policy.restricted_readers": {"Roles that may own restricted actions and hear of them, besides PX Admin, which always may.", "PX Coordinator, Executive", "[PX Coordinator]"},
		"Policy.root_causes":        {"Codes of root causes; a submission or closure names one of them.", "any code", "[communication, staffing]"},
		"Policy.merge":              {"Which signals of one subject join its live action.", "all but complaints and patient safety, within 72h", ""},
		"Policy.retention":          {"How long what has ended keeps its words and its messages.", "for ever", ""},
		"Policy.calendars":          {"When people are there.", "around the clock", ""},
		"Policy.triggers":           {"What is negative, and how bad.", "the built-in rules", ""},
		"Policy.routing":            {"Whose it is.", "the department's manager, and so on down", ""},
		"Policy.sla":                {"By when.", "the built-in SLA config", ""},

		"MergeSpec.window":         {"How far apart they were received, at most ten years.", "72h", "7d"},
		"MergeSpec.complaints":     {"merge: complaints join, too; link: they become actions of their own, linked.", "link", "merge"},
		"MergeSpec.patient_safety": {"The same of what is about a patient's safety.", "link", "merge"},
		"MergeSpec.is_active":      {"false: nothing joins or is linked.", "true", "false"},

		"RetentionSpec.words_days":    {"Days after its end at which an action's words, files included, are erased, and those of feedback that was ignored or is in quarantine; at most ten years. 0: never.", "never", "1095"},
		"RetentionSpec.messages_days": {"Days after an action's end at which its messages are dropped, once none is on its way; at most ten years. 0: never.", "never", "180"},

		"CalendarSpec.name":         {"1 to 200 characters, once in the policy.", "", "riyadh"},
		"CalendarSpec.timezone":     {"IANA time zone.", "", "Asia/Riyadh"},
		"CalendarSpec.always_open":  {"true: around the clock, and none of the keys below.", "false", "true"},
		"CalendarSpec.weekly":       {"Windows by weekday (mon) or run of weekdays (sun-thu). Days left out are closed.", "none, with always_open alone", `{sun-wed: 08:00-16:00, thu: ["08:00-12:00", "13:00-15:00"]}`},
		"CalendarSpec.holidays":     {"Closed dates.", "none", ""},
		"CalendarSpec.special_days": {"Dates with windows of their own, which win over weekly ones and holidays.", "none", ""},
		"CalendarSpec.feeds":        {"Closed dates that somebody else keeps, as iCalendar; refreshed every six hours.", "none", ""},

		"FeedSpec.name":  {"1 to 200 characters, once in the calendar.", "", "Saudi holidays"},
		"FeedSpec.url":   {"https://…; http:// with a loopback host alone.", "file", "https://example.org/holidays.ics"},
		"FeedSpec.file":  {"Absolute path, which every worker can read.", "url", "/etc/px/holidays.ics"},
		"FeedSpec.dates": {"What it said last. Written by px.", "not fetched yet", ""},

		"HolidaySpec.name": {"For people.", "no name", "National Day"},
		"HolidaySpec.date": {"One date, or with no year that of every year.", "from and to", "09-23"},
		"HolidaySpec.from": {"First date of a run.", "date", "2026-03-20"},
		"HolidaySpec.to":   {"Last date of the run, included.", "date", "2026-03-23"},

		"SpecialSpec.name": {"For people.", "no name", "Ramadan"},
		"SpecialSpec.date": {"One date, or with no year that of every year.", "from and to", "2026-12-24"},
		"SpecialSpec.from": {"First date of a run.", "date", "2026-02-18"},
		"SpecialSpec.to":   {"Last date of the run, included.", "date", "2026-03-19"},
		"SpecialSpec.days": {"Only these weekdays of the run.", "all", "sun-thu"},
		"SpecialSpec.open": {"The windows of these dates.", "closed", "10:00-15:00"},
	}
}

func triggerWords() map[string]words {
	return map[string]words{
		"TriggerSpec.name":          {"For people.", "no name", "Berlin answers mild posts too"},
		"TriggerSpec.hospital":      {"Only feedback of this hospital, by code.", "any", "BER"},
		"TriggerSpec.department":    {"Only feedback of this department of the hospital, by code; needs hospital.", "any", "ED"},
		"TriggerSpec.source_type":   {"Only feedback of this kind of source.", "any", "social_media"},
		"TriggerSpec.source_system": {"Only feedback of this system.", "any", "callcentre"},
		"TriggerSpec.survey":        {"Only answers to this survey, by code.", "any", "ED-EXIT"},
		"TriggerSpec.complaints":    {"Whether complaints become actions.", "as the next less specific trigger says; built in: always", "never"},
		"TriggerSpec.score":         {"Which scores are negative.", "as the next less specific trigger says", ""},
		"TriggerSpec.nps":           {"Bands of points; above all of them: not negative.", "as the next less specific trigger says; built in: 2 high, 4 medium, 6 low", ""},
		"TriggerSpec.sentiment":     {"Bands from -1 to 1; above all of them: not negative.", "as the next less specific trigger says; built in: -0.6 medium", ""},
		"TriggerSpec.kpi":           {"Bands of per cent off target, on the bad side; below all of them: not negative.", "as the next less specific trigger says; built in: 20 high, 10 medium, 5 low", ""},

		"TriggerSpec.raise": {"What makes negative feedback graver; []: nothing here.", "as the next less specific trigger says", ""},

		"RaiseSpec.category": {"Only feedback of this category.", "any", "staff_behavior"},
		"RaiseSpec.keywords": {"Only feedback with one of these words or phrases in its title or text; with * at its end, words that begin so.", "any", `[wrong medication, abus*]`},
		"RaiseSpec.severity": {"At least this severity.", "", "critical"},
		"RaiseSpec.negative": {"true: makes feedback negative that would pass, too, save praise.", "false", "true"},

		"ScoreSpec.below": {"Negative below this, in per cent of the scale, of which 0 is the worst.", "50", "60"},
		"ScoreSpec.bands": {"Severity of a negative score, in per cent of the scale; outside all bands: low.", "10 high, 25 medium", ""},
		"UpTo.at_most":    {"The band's upper end, included: per cent of the scale for a score, points from 0 to 10 for nps, from -1 to 1 for sentiment.", "", "10"},
		"UpTo.severity":   {"Severity within the band.", "", "high"},

		"FromSpec.at_least": {"The band's lower end, included, in per cent off the target.", "", "15"},
		"FromSpec.severity": {"Severity within the band.", "", "high"},
	}
}

func routingWords() map[string]words {
	return map[string]words{
		"RuleSpec.name":                 {"For people and the action's story; 1 to 200 characters.", "", "Patient safety in Riyadh"},
		"RuleSpec.description":          {"For people.", "none", "Safety goes to the patient experience office."},
		"RuleSpec.source_type":          {"Only actions of this kind of source.", "any", "complaint"},
		"RuleSpec.category":             {"Only actions of this category.", "any", "patient_safety"},
		"RuleSpec.severity":             {"Only actions of this severity.", "any", "critical"},
		"RuleSpec.hospital":             {"Only actions of this hospital, by code.", "any", "RUH"},
		"RuleSpec.department":           {"Only actions of this department of the hospital, by code; needs hospital.", "any", "LAB"},
		"RuleSpec.assign_to_role":       {"To the holder of this role with the fewest live actions, in the department, else in the hospital.", "no role", "PX Coordinator"},
		"RuleSpec.assign_to_user":       {"To this person, by code; wins over the role.", "nobody by name", "ruh-majed"},
		"RuleSpec.assign_to_department": {"The action's department from here on, by code; needs hospital.", "it keeps its own", "OPD"},
		"RuleSpec.priority":             {"Higher first.", "0", "100"},
		"RuleSpec.is_active":            {"false: kept, not used.", "true", "false"},
	}
}

func configWords() map[string]words {
	return map[string]words{
		"ConfigSpec.name":                   {"For people and the action's story; 1 to 200 characters.", "", "Riyadh emergency"},
		"ConfigSpec.hospital":               {"For this hospital, by code.", "for all", "RUH"},
		"ConfigSpec.department":             {"For this department of the hospital, by code; needs hospital.", "for all", "ED"},
		"ConfigSpec.critical_hours":         {"From the start of the clock to due.", "24", "4"},
		"ConfigSpec.high_hours":             {"From the start of the clock to due.", "48", "8"},
		"ConfigSpec.medium_hours":           {"From the start of the clock to due.", "72", "24"},
		"ConfigSpec.low_hours":              {"From the start of the clock to due.", "120", "72"},
		"ConfigSpec.targets":                {"Instead of the severity's hours. After so many working days it is due at the same time of day.", "the hours", "{high: 90m, medium: 3wd}"},
		"ConfigSpec.reminders":              {"Instead of reminder_hours_before: a time before due, on the severity's clock or the one named, or per cent of the target used up.", "reminder_hours_before", "[24h elapsed, 2h open, 75%]"},
		"ConfigSpec.reminder_hours_before":  {"Reminders before due; one not after the start is left out. []: none.", "4", "[8, 2]"},
		"ConfigSpec.auto_escalate":          {"false: no stages at all.", "true", "false"},
		"ConfigSpec.escalation_delay_hours": {"From due to the first stage, and between stages.", "2", "4"},
		"ConfigSpec.stages":                 {"The severity's own ladder. []: none.", "3, 3, 2, 1 stages from critical down", ""},
		"ConfigSpec.calendar":               {"Which of calendars counts open time, by name.", "the department's, else the hospital's", "riyadh"},
		"ConfigSpec.clock":                  {"Which hours a target counts.", "critical and high elapsed, medium and low open", "{medium: elapsed}"},
		"ConfigSpec.ack_targets":            {"From an assignment to the start of the work. A miss tells the manager; none: no such deadline.", "1h, 4h, 1wd, 2wd from critical down, where that is before due", "{critical: 30m, low: none}"},
		"ConfigSpec.ack_reroute":            {"true: who misses it loses the action to somebody else, once.", "false", "true"},
		"ConfigSpec.reopen":                 {"What time a reopened action gets: a fresh target, or what was remaining, 4 hours of its clock at least.", "fresh", "remaining"},
		"ConfigSpec.max_hold_hours":         {"The longest that an action may be held, elapsed; then it resumes by itself.", "336, two weeks", "72"},
		"ConfigSpec.hold_critical":          {"true: critical actions may be held, too.", "false", "true"},
		"ConfigSpec.requires_approval":      {"false: may be closed without approval.", "true", "false"},
		"ConfigSpec.approval_exempt":        {"What needs no approval all the same; each names one key at least.", "nothing", ""},
		"ConfigSpec.approval_target":        {"From a submission until the approval is overdue: elapsed, or working days of the calendar.", "24h", "1wd"},
		"ConfigSpec.approval_reminder":      {"So long before that, elapsed, the approvers are reminded. 0s: not at all.", "4h", "8h"},
		"ConfigSpec.approval_stand_ins":     {"Told besides the approvers when the approval is overdue, and may decide from then on.", "the PX Admins of no hospital", "['role:Executive', 'user:ruh-amal']"},
		"ConfigSpec.submission_needs":       {"What a submission, or a closure without one, has to have: action_plan, outcome, root_cause, complainant_informed, evidence. []: nothing.", "[action_plan, outcome]", "[outcome, evidence]"},
		"ConfigSpec.complaint_needs":        {"The same, of complaints besides.", "[root_cause, complainant_informed]", "[complainant_informed]"},
		"ConfigSpec.is_active":              {"false: kept, not used.", "true", "false"},

		"StageSpec.after_hours":    {"After due, or after the stage before.", "", "0.5"},
		"StageSpec.clock":          {"Which hours that counts.", "the severity's own", "open"},
		"StageSpec.tell":           {"Whom it tells; where that leaves nobody, the ladder.", "the ladder", "[manager, 'role:PX Admin', 'user:ruh-amal']"},
		"StageSpec.channels":       {"Over these alone, for whoever has one of them.", "all of theirs", "email"},
		"StageSpec.repeat":         {"So many times more, after the same time each.", "0", "2"},
		"StageSpec.raise_priority": {"At least this from here on.", "leaves it", "critical"},

		"Exemption.source_type": {"Only actions of this kind of source.", "any", "rounds"},
		"Exemption.severity":    {"Only actions of this severity.", "any", "low"},
	}
}
