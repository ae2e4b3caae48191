"""The errors UMS tells its callers, and their words in English and Chinese.

    UmsError
    |-- Invalid            400  4004      a parameter is not legal
    |   |-- TooLarge       413  4004
    |   |-- NotFound       404  4004
    |   `-- WrongMethod    405  4004
    |-- NotAuthenticated   401  4005
    |-- Forbidden          403  4005
    |-- Refused            400  1015xxx   the channel, or a rule, does not allow it
    |-- Busy               429  1015030
    |-- Unavailable        503  5000      try again
    `-- Broken             500  5000

Codes and statuses: ums-spec 3.1 and 3.2. The `reason` is ours: a stable word for programs.
"""

from typing import ClassVar


class UmsError(Exception):
    """An error to be told to the caller. `values` fill the placeholders of the words."""

    status: ClassVar[int] = 500
    code: int = 5000

    def __init__(self, reason: str, /, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values = values

    def words(self, language: str = "en") -> str:
        """The message in `language` ("en" or "zh"), short and free of internals."""
        english, chinese = WORDS[self.reason]
        text = chinese if language.startswith("zh") else english
        return text.format(**self.values) if self.values else text

    def __str__(self) -> str:
        return self.words()


class Invalid(UmsError):
    status = 400
    code = 4004


class TooLarge(Invalid):
    status = 413


class NotFound(Invalid):
    status = 404


class WrongMethod(Invalid):
    status = 405


class NotAuthenticated(UmsError):
    status = 401
    code = 4005


class Forbidden(UmsError):
    status = 403
    code = 4005


class Refused(UmsError):
    """A rule of the channel says no; each reason has its own code of ums-spec 3.2."""

    status = 400

    def __init__(self, reason: str, /, **values: object) -> None:
        super().__init__(reason, **values)
        self.code = CODES[reason]


class Busy(UmsError):
    status = 429
    code = 1015030


class Unavailable(UmsError):
    status = 503
    code = 5000


class Broken(UmsError):
    status = 500
    code = 5000


CODES: dict[str, int] = {
    "too_many_userids": 1015004,
    "channel_closed": 1015005,
    "no_sender_app": 1015006,
    "no_sender_sms": 1015007,
    "no_sender_wechatoa": 1015008,
    "no_sender_wechatmp": 1015009,
    "no_sender": 1015010,
    "no_sender_alipay_life": 1015011,
    "no_sender_dingtalk_cc": 1015012,
    "owner_missing": 1015023,
    "strategy_unknown": 1015026,
    "blocklist_unknown": 1015046,
    "lists_conflict": 1015097,
}

_NO_SENDER = (
    "The channel has no sender for {field}; only email is served here.",
    "该渠道没有 {field} 对应的通道，本系统仅支持邮件。",
)

WORDS: dict[str, tuple[str, str]] = {
    **{reason: _NO_SENDER for reason in CODES if reason.startswith("no_sender_")},
    # the request as a whole
    "bad_json": ("The body is not valid JSON: {detail}", "请求体不是合法的 JSON：{detail}"),
    "bad_http": ("The request is not proper HTTP.", "请求不符合 HTTP 协议。"),
    "too_slow": (
        "The body did not arrive within {limit} seconds.",
        "请求体未在 {limit} 秒内到达。",
    ),
    "cut_off": ("The request ended before its body did.", "请求体不完整，连接已中断。"),
    "not_object": ("The body must be a JSON object.", "请求体必须是 JSON 对象。"),
    "not_array": ("The body must be a JSON array.", "请求体必须是 JSON 数组。"),
    "batch_size": ("Give 1 to {limit} entries.", "条目数须为 1 到 {limit}。"),
    "bad_type": ("{field} must be {expected}.", "{field} 必须是{expected}。"),
    "misfit": ("{field}: {detail}", "{field}：{detail}"),
    "missing": ("{field} is required.", "缺少必填参数 {field}。"),
    "unknown_field": ("{field} is not a parameter.", "不存在参数 {field}。"),
    "control_characters": (
        "{field} must not contain control characters or line breaks.",
        "{field} 不能包含控制字符或换行。",
    ),
    "too_large": ("The body is larger than {limit} bytes.", "请求体超过 {limit} 字节。"),
    "not_found": ("There is nothing at this address.", "该地址不存在。"),
    "wrong_method": ("This address does not answer {method}.", "该地址不支持 {method} 方法。"),
    "no_credentials": (
        "Give Basic credentials: the key and its MasterSecret.",
        "请提供 Basic 认证信息（Key 与 MasterSecret）。",
    ),
    "bad_credentials": ("The key or its secret is wrong.", "Key 或 MasterSecret 错误。"),
    "access_key_only": (
        "This needs the access key, not a channel's key.",
        "该接口只能使用全局 AccessKey。",
    ),
    "channel_only": (
        "This needs a channel's key, not the access key.",
        "该接口只能使用渠道的 ChannelKey。",
    ),
    "local_token": ("The local token is wrong.", "本地令牌错误。"),
    "busy": ("Too many requests; try again later.", "请求过于频繁，请稍后重试。"),
    "unavailable": (
        "The database cannot be reached. Try again.",
        "数据库暂不可用，请稍后重试。",
    ),
    "stopping": ("The server is stopping; try again.", "服务器正在停止，请重试。"),
    "broken": (
        "Server error. Try again.",
        "服务器错误，请稍后重试。",
    ),
    # audience
    "audience_missing": (
        "Give an audience: aud_tag, aud_userid, aud_segment or aud_email.",
        "缺少发送目标：aud_tag、aud_userid、aud_segment 或 aud_email。",
    ),
    "audience_on_broadcast": (
        "A broadcast takes no {field}.",
        "广播消息不能包含 {field}。",
    ),
    "audience_mixed": (
        "Direct addresses cannot stand together with tags, userids or segments.",
        "直接地址不能与标签、userid、分群同时使用。",
    ),
    "unpaired": (
        "{audience} and {content} must stand together.",
        "{audience} 与 {content} 必须成对出现。",
    ),
    "sender_type": (
        "Only email is served here; {field} is not.",
        "本系统仅支持邮件，不支持 {field}。",
    ),
    "content_missing": ("msg_email is required.", "缺少 msg_email。"),
    "one_content": ("msg_email must have exactly one element.", "msg_email 必须且只能有一个元素。"),
    "too_many_userids": (
        "At most 1000 userids in one message.",
        "单条消息的 userid 不能超过 1000 个。",
    ),
    "too_many": ("{field} takes 1 to {limit} entries.", "{field} 的条目数须为 1 到 {limit}。"),
    "bad_userid": ("{field}: not a valid userid.", "{field}：userid 不合法。"),
    "bad_tag": ("{field}: not a valid tag.", "{field}：标签不合法。"),
    "bad_address": ("{field}: {detail}", "{field}：邮箱地址不合法（{detail}）"),
    "segment_unknown": ("There is no segment {id}.", "分群 {id} 不存在。"),
    # content and options
    "bad_subject": ("subject: {detail}", "subject 不合法：{detail}"),
    "bad_text": ("text: {detail}", "text 不合法：{detail}"),
    "bad_file_url": ("{field}: give an http or https URL.", "{field}：须为 http 或 https 地址。"),
    "file_refused": ("{field}: {detail}", "{field}：{detail}"),
    "files_too_large": (
        "The files are larger than {limit} bytes together.",
        "附件总大小超过 {limit} 字节。",
    ),
    "priority": ("option.priority must be 1, 2 or 3.", "option.priority 必须是 1、2 或 3。"),
    "params_too_large": ("callback.params is larger than 4 KiB.", "callback.params 超过 4 KiB。"),
    "callback_unknown": (
        "callback.url is not a verified address of this channel.",
        "callback.url 不是该渠道已验证的回调地址。",
    ),
    "allowlist_unknown": ("There is no allowlist {id}.", "白名单 {id} 不存在。"),
    "idempotency_key": (
        "Idempotency-Key must be 1 to 255 visible ASCII characters.",
        "Idempotency-Key 须为 1 到 255 个可见 ASCII 字符。",
    ),
    "idempotency_reused": (
        "This Idempotency-Key was used with another body.",
        "该 Idempotency-Key 已用于不同的请求体。",
    ),
    # refusals with a code of their own
    "channel_closed": ("The channel is closed.", "渠道已关闭。"),
    "no_sender": (
        "The channel has no email sender that is authorised and open.",
        "该渠道没有已授权且启用的邮件通道。",
    ),
    "owner_missing": ("option.owner is required by this channel.", "该渠道要求填写 option.owner。"),
    "strategy_unknown": ("There is no strategy {id}.", "发送策略 {id} 不存在或已失效。"),
    "blocklist_unknown": ("There is no blocklist {id}.", "黑名单 {id} 不存在。"),
    "lists_conflict": (
        "black_id and white_id cannot both be given.",
        "black_id 与 white_id 不能同时使用。",
    ),
    # users
    "not_entry": ("An entry must be a JSON object.", "条目必须是 JSON 对象。"),
    "bad_bind_id": (
        "{kind}: bind id {bind_id} cannot be used here.",
        "{kind}：绑定标识 {bind_id} 不可用。",
    ),
    "bind_id_denied": (
        "{kind}: bind id {bind_id} belongs to another channel.",
        "{kind}：无权写入绑定标识 {bind_id}。",
    ),
    "twice": (
        "{kind} of {bind_id} stands both at the top and in set.",
        "{kind} 的 {bind_id} 在顶层与 set 中重复。",
    ),
    "single_valued": (
        "{kind} has one value: use set, not add.",
        "{kind} 为单值，请使用 set 而不是 add。",
    ),
    "one_value": ("{field} takes one value.", "{field} 只能有一个值。"),
    "bad_value": ("{field}: not a valid value.", "{field}：值不合法。"),
    "limit": ("{kind} of {bind_id}: at most {limit}.", "{kind}（{bind_id}）最多 {limit} 个。"),
    "user_unknown": ("There is no such user.", "用户不存在。"),
    "attributes_large": (
        "attributes are larger than {limit} bytes.",
        "attributes 超过 {limit} 字节。",
    ),
    # management
    "message_unknown": ("This channel has no such message.", "该渠道没有此消息。"),
    "delivery_unknown": ("This channel has no such delivery.", "该渠道没有此投递。"),
    "bad_filter": ("{field}: {detail}", "{field}：{detail}"),
    "short_password": (
        "A password has at least {limit} characters.",
        "密码至少 {limit} 个字符。",
    ),
    "name_length": ("A name has 1 to 30 characters.", "名称须为 1 到 30 个字符。"),
    "name_taken": ("The name {name} is taken.", "名称 {name} 已被使用。"),
    "key_shape": (
        'A ChannelKey is 1 to 32 letters and digits, and not "all".',
        "ChannelKey 须为 1 到 32 位字母或数字，且不能是 all。",
    ),
    "key_taken": ("The key {key} is taken.", "标识 {key} 已被使用。"),
    "code_shape": (
        'A sender code is 1 to 30 letters and digits, and not "all".',
        "通道编码须为 1 到 30 位字母或数字，且不能是 all。",
    ),
    "code_taken": (
        "The code {code} is taken by a sender or a channel.",
        "编码 {code} 已被通道或渠道使用。",
    ),
    "channel_unknown": ("There is no channel {key}.", "渠道 {key} 不存在。"),
    "sender_unknown": ("There is no sender {code}.", "通道 {code} 不存在。"),
    "sender_elsewhere": (
        "Sender {code} works only inside the running server; start `ums serve` first.",
        "通道 {code} 仅在服务运行时可用，请先执行 ums serve。",
    ),
    "port_approval": (
        "Port {port} needs an administrator's approval (--allow-port);"
        " 25, 80, 443 and 465 are free.",
        "端口 {port} 需要管理员批准（--allow-port）；25、80、443、465 可直接使用。",
    ),
    "port_range": ("A port is a number from 1 to 65535.", "端口须为 1 到 65535。"),
    "host_shape": ("{host} is not a server name or address.", "{host} 不是合法的服务器地址。"),
    "encryption": (
        "Encryption is one of none, ssl, starttls.",
        "加密方式须为 none、ssl 或 starttls。",
    ),
    "password_again": (
        "Type the password again: host, port, account or encryption changed.",
        "服务器、端口、账号或加密方式已更改，请重新输入密码。",
    ),
    "secret_unreadable": (
        "A stored secret cannot be read with this key; was the key file or UMS_SECRET_KEY changed?",
        "无法用当前密钥读取已保存的密码，密钥文件或 UMS_SECRET_KEY 是否被更改？",
    ),
    "verb_unknown": ("There is no verb {name}.", "不存在操作 {name}。"),
    # spreadsheets
    "file_missing": ("There is no file {path}.", "文件 {path} 不存在。"),
    "sheet_unreadable": ("The file cannot be read: {detail}", "无法读取文件：{detail}"),
    "sheet_columns": ("Columns: {detail}", "列：{detail}"),
    "sheet_limit": ("The file is over a limit: {detail}", "文件超过限制：{detail}"),
    "cell_number": (
        "{field}: a number of more than 15 digits loses some in a spreadsheet; make the cell text.",
        "{field}：超过 15 位的数字会丢失精度，请将单元格设为文本格式。",
    ),
    "cell_nameless": ("{field}: a value in a column without a name.", "{field}：该列没有列名。"),
    "cell_long": ("{field}: the cell is too long.", "{field}：单元格内容过长。"),
    "row_long": ("The row is too long.", "该行内容过长。"),
    "import_unknown": ("There is no import {id}.", "导入 {id} 不存在。"),
    # the installation
    "server_elsewhere": (
        "Another UMS process holds this data folder but does not answer at {url}.",
        "另一个 UMS 进程占用了该数据目录，但 {url} 没有响应。",
    ),
    "newer_schema": (
        "The database was made by a newer UMS (revision {revision}); install that version.",
        "数据库由更新版本的 UMS 创建（{revision}），请安装新版本。",
    ),
    "database_url": ("UMS_DATABASE_URL: {detail}", "UMS_DATABASE_URL：{detail}"),
}
