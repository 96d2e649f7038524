// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IERC734} from "./interfaces/IERC734.sol";
import {KeyTypes, Purposes} from "./libraries/Purposes.sol";

/// @title The keys of an identity (ERC-734)
/// @dev The first manager may stand in the code of a clone rather than in storage. Once removed, a tombstone outranks the code.
abstract contract KeyHolder is IERC734 {
    using EnumerableSet for EnumerableSet.Bytes32Set;

    struct Key {
        uint128 purposes; // one bit for each
        uint64 keyType;
    }

    mapping(bytes32 key => Key) private _keys;
    EnumerableSet.Bytes32Set private _keyList; // the keys with a purpose in storage
    uint248 private _storedManagers;
    bool private _firstManagerRemoved;

    modifier onlyManager() {
        if (!_senderHas(Purposes.MANAGEMENT)) revert SenderDoesNotHaveManagementKey();
        _;
    }

    /// @inheritdoc IERC734
    function addKey(bytes32 _key, uint256 _purpose, uint256 _keyType) external onlyManager returns (bool success) {
        _addKey(_key, _purpose, _keyType);
        return true;
    }

    /// @inheritdoc IERC734
    function removeKey(bytes32 _key, uint256 _purpose) external onlyManager returns (bool success) {
        uint128 bit = _bit(_purpose);
        uint128 purposes = _purposesOf(_key);
        if (purposes == 0) revert KeyNotRegistered(_key);
        if (purposes & bit == 0) revert KeyDoesNotHavePurpose(_key, _purpose);
        uint256 keyType = _keyTypeOf(_key);

        bool inCode = _purpose == Purposes.MANAGEMENT && _isFirstManager(_key);
        if (_purpose == Purposes.MANAGEMENT) {
            uint256 managers = _storedManagers + (_firstManagerStands() ? 1 : 0);
            if (managers == 1) revert LastManagementKey();
            if (inCode) _firstManagerRemoved = true;
            else --_storedManagers;
        }
        if (!inCode) {
            uint128 left = _keys[_key].purposes & ~bit;
            if (left == 0) {
                delete _keys[_key];
                _keyList.remove(_key);
            } else {
                _keys[_key].purposes = left;
            }
        }
        emit KeyRemoved(_key, _purpose, keyType);
        return true;
    }

    /// @inheritdoc IERC734
    function getKey(bytes32 _key) external view returns (uint256[] memory purposes, uint256 keyType, bytes32 key) {
        purposes = getKeyPurposes(_key);
        if (purposes.length > 0) (keyType, key) = (_keyTypeOf(_key), _key);
    }

    /// @inheritdoc IERC734
    function getKeysByPurpose(uint256 _purpose) external view returns (bytes32[] memory keys) {
        if (_purpose == 0 || _purpose > Purposes.LAST) return keys;
        uint128 bit = _bit(_purpose);
        uint256 count = _keyList.length();
        keys = new bytes32[](count + 1);
        uint256 found = 0;
        if (_purpose == Purposes.MANAGEMENT && _firstManagerStands()) keys[found++] = _keyOf(_firstManager());
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = _keyList.at(i);
            if (_keys[key].purposes & bit != 0) keys[found++] = key;
        }
        assembly ("memory-safe") {
            mstore(keys, found) // the array may be shorter than what was reserved for it, never longer
        }
    }

    /// @inheritdoc IERC734
    function getKeyPurposes(bytes32 _key) public view returns (uint256[] memory _purposes) {
        uint128 purposes = _purposesOf(_key);
        uint256 count = 0;
        for (uint128 rest = purposes; rest != 0; rest &= rest - 1) {
            ++count;
        }
        _purposes = new uint256[](count);
        uint256 next = 0;
        for (uint256 purpose = 1; next < count; ++purpose) {
            if ((purposes >> purpose) & 1 != 0) _purposes[next++] = purpose;
        }
    }

    /// @inheritdoc IERC734
    function keyHasPurpose(bytes32 _key, uint256 _purpose) public view returns (bool exists) {
        uint128 purposes = _purposesOf(_key);
        if (purposes & _bit(Purposes.MANAGEMENT) != 0) return true;
        return _purpose != 0 && _purpose <= Purposes.LAST && (purposes >> _purpose) & 1 != 0;
    }

    /// @dev The manager that stands in the code, or zero.
    function _firstManager() internal view virtual returns (address);

    function _addKey(bytes32 key, uint256 purpose, uint256 keyType) internal {
        if (key == bytes32(0) || key == _keyOf(address(0))) revert ZeroKey();
        if (keyType > type(uint64).max) revert KeyTypeOutOfRange(keyType);
        uint128 bit = _bit(purpose);
        uint128 purposes = _purposesOf(key);
        if (purposes & bit != 0) revert KeyAlreadyHasPurpose(key, purpose);
        // A key that could change its type would change which signatures of it count.
        if (purposes != 0 && _keyTypeOf(key) != keyType) revert KeyTypeMismatch(key, keyType);

        if (purpose == Purposes.MANAGEMENT) ++_storedManagers;
        _keys[key] = Key({purposes: _keys[key].purposes | bit, keyType: uint64(keyType)});
        _keyList.add(key);
        emit KeyAdded(key, purpose, keyType);
    }

    function _senderHas(uint256 purpose) internal view returns (bool) {
        return msg.sender == address(this) || keyHasPurpose(_keyOf(msg.sender), purpose);
    }

    /// @dev The purpose itself, not MANAGEMENT in its place, and a key of that type.
    function _isKeyFor(bytes32 key, uint256 purpose, uint256 keyType) internal view returns (bool) {
        return _keys[key].purposes & _bit(purpose) != 0 && _keys[key].keyType == keyType;
    }

    function _keyTypeOf(bytes32 key) internal view returns (uint256) {
        Key storage stored = _keys[key];
        if (stored.purposes != 0) return stored.keyType;
        return _isFirstManager(key) ? KeyTypes.ECDSA : 0;
    }

    function _keyOf(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(account));
    }

    function _purposesOf(bytes32 key) private view returns (uint128 purposes) {
        purposes = _keys[key].purposes;
        if (_isFirstManager(key)) purposes |= _bit(Purposes.MANAGEMENT);
    }

    function _isFirstManager(bytes32 key) private view returns (bool) {
        return _firstManagerStands() && key == _keyOf(_firstManager());
    }

    function _firstManagerStands() private view returns (bool) {
        return !_firstManagerRemoved && _firstManager() != address(0);
    }

    function _bit(uint256 purpose) private pure returns (uint128) {
        if (purpose == 0 || purpose > Purposes.LAST) revert PurposeOutOfRange(purpose);
        return uint128(1) << uint8(purpose);
    }
}
