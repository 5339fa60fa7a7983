"""Every table, so that one import makes the metadata whole for migrations and queries."""

from heedful.store.columns import Base
from heedful.store.label_tables import (
    DemonstrationRow,
    GradeRow,
    QuestionRow,
    RankingRow,
    RatingRow,
    SubmissionRow,
)
from heedful.store.people_tables import (
    AccountRow,
    ApiTokenRow,
    AuditRow,
    InviteRow,
    LoginAttemptRow,
    MemberRow,
    ScreeningDecisionRow,
    SelfAssessmentRow,
    SessionRow,
    SurveyDoneRow,
    SurveyRow,
)
from heedful.store.work_tables import (
    BatchRow,
    CompletionRow,
    DraftRow,
    InstructionsRow,
    ItemRow,
    PresentationRow,
    ProjectRow,
    PromptRow,
    SkipRow,
    SlotRow,
)

__all__ = [
    "AccountRow",
    "ApiTokenRow",
    "AuditRow",
    "Base",
    "BatchRow",
    "CompletionRow",
    "DemonstrationRow",
    "DraftRow",
    "GradeRow",
    "InstructionsRow",
    "InviteRow",
    "ItemRow",
    "LoginAttemptRow",
    "MemberRow",
    "PresentationRow",
    "ProjectRow",
    "PromptRow",
    "QuestionRow",
    "RankingRow",
    "RatingRow",
    "ScreeningDecisionRow",
    "SelfAssessmentRow",
    "SessionRow",
    "SkipRow",
    "SlotRow",
    "SubmissionRow",
    "SurveyDoneRow",
    "SurveyRow",
]
metadata = Base.metadata
