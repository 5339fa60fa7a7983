"""The modules whose `router` makes up the application, in the order in which paths are tried."""

MODULES = (
    "access_pages",
    "settings_pages",
    "work_pages",
    "project_pages",
    "batch_pages",
    "new_batch_pages",
    "label_pages",
    "people_pages",
    "account_pages",
    "invite_pages",
    "instruction_pages",
    "question_pages",
    "prompt_pages",
    "export_pages",
    "audit_pages",
    "quality_pages",
    "screening_pages",
    "survey_pages",
    "review_pages",
    "api",
)
