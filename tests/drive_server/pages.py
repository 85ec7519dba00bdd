"""Pages as Google Drive words them. gdown reads them line by line, so each part that it reads is one line."""

VIRUS_SCAN = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<p class="uc-warning-caption">Google Drive can't scan this file for viruses.</p>
{form}</body></html>"""

FORM = (
    '<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    '<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="{identifier}">'
    '<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t"></form>'
)

QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p></body></html>"""

SIGN_IN = """<!DOCTYPE html><html><head><title>Google Drive: Sign-in</title></head><body>
<p>Use your Google Account to continue to Google Drive</p></body></html>"""

MISSING = """<!DOCTYPE html><html><head><title>Error 404 (Not Found)!!1</title></head><body>
<p>The requested URL was not found on this server.</p></body></html>"""

OTHER = """<!DOCTYPE html><html><head><title>Google Drive</title></head><body><p>Something else.</p></body></html>"""

FOLDER = """<!DOCTYPE html><html><head><title>{name}</title></head><body>
<div class="flip-entries">{entries}</div></body></html>"""

ENTRY = """<a href="{link}" target="_blank"><div class="flip-entry-title">{name}</div></a>"""
